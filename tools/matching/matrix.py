"""Every autoencoder at hand against every denoiser at hand, as a table in docs/matching.md.

Run as `python -m tools.matching.matrix`. The truth is known by how each autoencoder was made. FLUX.2's tiny one is read
from ../shared, and left out where that is not there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from tools.matching.document import put
from tools.matching.independent import INVOKEAI
from tools.matching.variants import (
    Linear,
    Matrix,
    MixedTiny,
    fine_tuned,
    mixed_kl,
    permutation,
    rotation,
    scaling,
)

from fictile.autoencoder import FLUX1, SD1, SD3, SDXL, KLSpec, Tiny, as_kl
from fictile.checkpoint import Parts, load_model
from fictile.checkpoint.folder import PACKAGED
from fictile.latent import SPACES
from fictile.matching import DenoiserSubject, VaeSubject, Verdict, match, open_vae

TAEF2 = Path(__file__).parents[3] / "shared" / "weights" / "taesd" / "taef2_encoder.pth"
PUBLISHED = ("sd1", "sdxl", "sd3", "flux1", "flux2", "wan21")


@dataclass(frozen=True)
class Candidate:
    """An autoencoder, and the id of the space that it speaks in truth: one of nobody's has none."""

    vae: VaeSubject
    truth: str | None


def packaged() -> Parts:
    """The packaged model."""
    return load_model(Path(str(files("fictile") / "builtin" / PACKAGED)))


def mixes(channels: int) -> dict[str, Matrix]:
    """What latents are mixed by, to make another space of one."""
    return {
        "rotated": rotation(channels, 0),
        "rotated otherwise": rotation(channels, 1),
        "permuted": permutation(channels, 0),
        "permuted otherwise": permutation(channels, 1),
        "half as large": scaling(channels, 0.5),
        "1.5 times as large": scaling(channels, 1.5),
        "twice as large": scaling(channels, 2.0),
    }


def candidates(parts: Parts) -> Iterator[Candidate]:
    """All of them; what their files would say of themselves is withheld, unless their name says otherwise."""
    if TAEF2.is_file():
        tiny = replace(open_vae(TAEF2), name="taef2", hashes=())
        assert isinstance(tiny.network, Tiny)
        yield Candidate(tiny, "flux2")
        for name, matrix in mixes(32).items():
            yield Candidate(replace(tiny, name=f"taef2, {name}", network=MixedTiny(tiny.network, matrix)), None)
        for strength in (0.02, 0.1):
            made = fine_tuned(tiny.network, strength, 0)
            yield Candidate(replace(tiny, name=f"taef2, decoder moved by {strength:.0%}", network=made), "flux2")
    emoji, own = parts.autoencoder, as_kl(parts.autoencoder).network
    plain = VaeSubject(name="emoji", network=own, normalisation=emoji.normalisation)
    yield Candidate(plain, emoji.space.id)
    yield Candidate(replace(VaeSubject.of(emoji), name="emoji, as its file names it"), emoji.space.id)
    for name, matrix in mixes(16).items():
        yield Candidate(replace(plain, name=f"emoji, {name}", network=mixed_kl(own, matrix)), None)
    false = replace(
        VaeSubject.of(emoji), name="emoji, rotated under its old name", network=mixed_kl(own, rotation(16, 2))
    )
    yield Candidate(false, None)
    for strength in (0.02, 0.1):
        name = f"emoji, decoder moved by {strength:.0%}"
        yield Candidate(replace(plain, name=name, network=fine_tuned(own, strength, 0)), emoji.space.id)
    yield from linear()


def linear() -> Iterator[Candidate]:
    """Made-up autoencoders of published maps, and two of them in spaces of nobody's."""
    for known in (SD1, SDXL, SD3, FLUX1):
        assert isinstance(known.spec, KLSpec)
        assert known.normalisation
        space, units = known.space.id, (known.normalisation.scale[0], known.normalisation.shift[0])
        vae = VaeSubject(name=f"made up: {space}", network=Linear(INVOKEAI[space], known.spec, *units))
        yield Candidate(vae, space)
        turned = rotation(known.spec.channels, 3) @ INVOKEAI[space]
        yield Candidate(
            replace(vae, name=f"made up: {space}, rotated", network=Linear(turned, known.spec, *units)), None
        )


def denoisers(parts: Parts) -> list[DenoiserSubject]:
    """The packaged model, whole; of published families, their spaces alone."""
    names = [DenoiserSubject(name=space, space=SPACES[space]) for space in PUBLISHED]
    return [DenoiserSubject.of(parts), *names]


def mark(verdict: Verdict, truth: str | None) -> str:
    """The verdict in a word, and whether it is right."""
    assert verdict.denoiser_space is not None
    wanted = "belongs" if verdict.denoiser_space.id == truth else "foreign"
    if verdict.kind == "cannot tell":
        return "open"
    return verdict.kind if verdict.kind == wanted else f"**{verdict.kind}: WRONG**"


def main() -> None:
    """Compute the table, print it and write it into the document."""
    parts = packaged()
    judges = denoisers(parts)
    lines = [f"| autoencoder | {' | '.join(judge.name for judge in judges)} |", "|---" * (len(judges) + 1) + "|"]
    for candidate in candidates(parts):
        cells = [mark(match(judge, candidate.vae), candidate.truth) for judge in judges]
        lines.append(f"| {candidate.vae.name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    table = "\n".join(lines)
    pairs = table.count("belongs") + table.count("foreign") + table.count("open")
    counts = f"{pairs} pairs: {table.count('WRONG')} wrong, {table.count('open')} open."
    put("matrix", f"{table}\n\n{counts}")


if __name__ == "__main__":
    main()
