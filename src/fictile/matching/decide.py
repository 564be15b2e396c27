"""Which latent space an autoencoder speaks: what is said of it first, then how it behaves.

The order is metadata, the denoiser that it lies beside, the hash of a released file, and behaviour. What is said is
checked where it can be: the id of a trained space holds a hash of the encoder, and colours can deny a published space.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fictile.autoencoder import KNOWN, Known, Normalisation, encoder_hash, kind_of
from fictile.checkpoint.released_files import RELEASED
from fictile.latent import SPACES, LatentSpace
from fictile.matching.colours import SWAP, Agreement, Observation, agreement, observe
from fictile.matching.references import reference
from fictile.matching.subjects import VaeSubject
from fictile.matching.verdict import THRESHOLD, Evidence, Source, SpaceDecision

# Playground 2.5's is SDXL's network in other units: told by its normalisation alone, and never by behaviour.
_TOLD_BY_UNITS = frozenset({"playground-2.5"})


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is said of a space, and how far it is believed."""

    space: LatentSpace
    confidence: float
    proven: bool = False  # by a hash, so that behaviour has nothing to add


def decide_space(vae: VaeSubject) -> SpaceDecision:
    """The space of an autoencoder. Pictures are encoded only where no hash proves it."""
    claim, evidence = claimed(vae)
    possible = [space for space in fitting(vae) if space not in _TOLD_BY_UNITS]
    beliefs: dict[str, float] = {}
    if not (claim and claim.proven) and any(reference(space) is not None for space in possible):
        shown = tuple(behaviour(vae, possible, observe(vae.network)))
        evidence += tuple(found for _, _, found in shown)
        beliefs = {space: belief for space, belief, _ in shown}
    if claim and beliefs.get(claim.space.id, 1.0) > 1 - THRESHOLD:
        return SpaceDecision(vae=vae.name, space=claim.space, confidence=claim.confidence, evidence=evidence)
    left = sorted((s for s in possible if beliefs.get(s, 0.5) > 1 - THRESHOLD), key=lambda s: -beliefs.get(s, 0.5))
    best = beliefs.get(left[0], 0.0) if left else 0.0
    sure = len(left) == 1 and best >= THRESHOLD and claim is None
    return SpaceDecision(
        vae=vae.name,
        space=SPACES[left[0]] if sure else None,
        confidence=best,
        evidence=evidence,
        candidates=() if sure else tuple(left),
    )


def claimed(vae: VaeSubject) -> tuple[Claim | None, tuple[Evidence, ...]]:
    """What is said of an autoencoder by its metadata, by the denoiser beside it, or by its hash."""
    evidence: list[Evidence] = []
    claim: Claim | None = None
    if vae.space is not None:
        claim, said = _own_words(vae, vae.space)
        evidence.append(said)
    known = {RELEASED[digest] for digest in vae.hashes if digest in RELEASED}
    if known and len({released.space for released in known}) == 1:
        names, space = " and ".join(sorted(released.name for released in known)), known.pop().space
        evidence.append(_evidence("hash", "its hash", f"It is {names} as released, of {space}.", 1.0))
        claim = Claim(space=SPACES[space], confidence=0.999, proven=True)
    elif vae.hashes:
        evidence.append(_evidence("hash", "its hash", "It is none of the released files that are known here.", 0.0))
    return claim, tuple(evidence)


def _own_words(vae: VaeSubject, space: LatentSpace) -> tuple[Claim | None, Evidence]:
    if vae.told == "bundle":
        says = f"It lies beside a denoiser of {space.id}."
        return Claim(space=space, confidence=0.95), _evidence("bundle", "what it came with", says, 0.95)
    if space.id in SPACES:
        says = f"It names the space {space.id}."
        return Claim(space=space, confidence=0.95), _evidence("metadata", "its metadata", says, 0.95)
    units = vae.normalisation or Normalisation.identity(vae.network.spec.channels)
    if space.id.rpartition("-")[2] == encoder_hash(vae.network, units):
        says = f"It names the space {space.id}, and its encoder has that hash."
        return Claim(space=space, confidence=0.999, proven=True), _evidence("encoder", "its encoder", says, 1.0)
    says = f"It names the space {space.id}, but its encoder or its units have another hash: that is not believed."
    return None, _evidence("encoder", "its encoder", says, 0.0)


def fitting(vae: VaeSubject) -> tuple[str, ...]:
    """The ids of the published spaces whose autoencoders are built as this one: by kind, channels and factor."""
    return tuple(dict.fromkeys(known.space.id for known in _alike(vae)))


def units_in(vae: VaeSubject, space: str) -> Normalisation | None:
    """What brings its raw latents into a published space; its own where every file of that space carries one."""
    return next((known.normalisation or vae.normalisation for known in _alike(vae) if known.space.id == space), None)


def _alike(vae: VaeSubject) -> list[Known]:
    own = vae.network.spec
    return [
        known
        for known in KNOWN.values()
        if (kind_of(known.spec), known.spec.channels, known.spec.factor) == (kind_of(own), own.channels, own.factor)
    ]


def behaviour(vae: VaeSubject, spaces: Iterable[str], seen: Observation) -> Iterator[tuple[str, float, Evidence]]:
    """For each space that colours can be asked about: the belief in it, and what they say."""
    for space in spaces:
        published, units = reference(space), units_in(vae, space)
        if published is not None and units is not None:
            found = agreement(seen, units, published)
            belief = found.confidence
            yield space, belief, _evidence("colours", f"its colours, as {space}", _says(found), abs(2 * belief - 1))


def _says(found: Agreement) -> str:
    halves = [
        f"{figure:.2f} in its {half}"
        for half, figure in (("latents", found.colours), ("decoder", found.response))
        if figure is not None
    ]
    says = f"They agree with the published ones by {' and '.join(halves)} (1 is all)"
    if found.mute:
        return "No linear map reads colours from its latents, so that they say nothing."
    if found.swap > SWAP:
        says += "; they fit better with two channels swapped"
    return says + (f"; its latents are {found.scale:.2f} times as large." if found.scale is not None else ".")


def _evidence(source: Source, looked_at: str, says: str, weight: float) -> Evidence:
    return Evidence(source=source, looked_at=looked_at, says=says, weight=weight)
