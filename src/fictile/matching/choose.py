"""Which autoencoder a model gets: its own, the one that is asked for, or the one of a folder that belongs to it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch

from fictile.autoencoder import AnyAutoencoder, Normalisation, PrecisionMemory, TinySpec
from fictile.checkpoint import Checkpoint, Parts, open_autoencoder, open_checkpoint, open_model, read_autoencoder
from fictile.checkpoint.folder import MODEL
from fictile.checkpoint.pipeline import is_pipeline
from fictile.checkpoint.read import ENDINGS
from fictile.codec import AutoencoderCodec
from fictile.engine import Runtime
from fictile.errors import RequestError, SpaceMismatch
from fictile.matching.colours import halves
from fictile.matching.decide import decide_space, units_in
from fictile.matching.match import match
from fictile.matching.opened import open_denoiser, subject_of
from fictile.matching.subjects import DenoiserSubject, VaeSubject
from fictile.matching.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An autoencoder that a model may get, and what was found about it."""

    path: Path
    denoiser: DenoiserSubject
    subject: VaeSubject
    opened: Checkpoint
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The autoencoder that a model gets, and what its recipes say of it."""

    autoencoder: AnyAutoencoder
    origin: str
    forced: bool


def open_parts(
    model: str | PathLike[str],
    vae: str | PathLike[str] | None = None,
    *,
    force: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Parts:
    """The parts of a model: with the autoencoder `vae` in the place of its own if one is given, and from a folder of
    loose files with the one that belongs. With `force`, one of another space is taken too. Text encoders and denoiser
    are in `dtype`, the autoencoder in float32.

    What is not sure is said once. Raises SpaceMismatch for a pair that surely does not belong together, before anything
    is drawn; RequestError for what cannot be opened, and where a folder leaves open what is meant.
    """
    path, beside = Path(model), None
    if not (path / MODEL).exists() and (path / "model" / MODEL).exists():
        raise RequestError(f"{path} is the folder of a training run; give the model in it, {path / 'model'}.")
    if path.is_dir() and not (path / MODEL).exists() and not is_pipeline(path):
        model, beside = sorted_out(path)
    if vae is not None:
        chosen = _chosen(looked_at(open_denoiser(model), Path(vae)), "as asked", force=force)
    elif beside is None:
        return open_model(model, dtype=dtype)
    elif "vae" in open_checkpoint(model).parts:
        own = open_model(model, dtype=dtype)
        return replace(own, vae_origin=f"{own.vae_origin}: it is in {Path(model).name}")
    else:
        chosen = _best(Path(model), beside, force=force)
    parts = open_model(model, chosen.autoencoder, dtype=dtype)
    return replace(parts, vae_origin=chosen.origin, vae_forced=chosen.forced)


def open_codec(
    vae: str | PathLike[str], runtime: Runtime, *, memory: PrecisionMemory | None = None
) -> AutoencoderCodec:
    """An autoencoder alone. Where its space shows, its latents are of that one; else they have a space of their own,
    which is said once.

    Raises RequestError for what holds no autoencoder.
    """
    opened = open_autoencoder(vae)
    if opened.space:
        return AutoencoderCodec(read_autoencoder(opened), runtime, memory=memory, own=True)
    subject = subject_of(opened)
    decision = decide_space(subject)
    if decision.space:
        units = units_in(subject, decision.space.id)
        autoencoder = read_autoencoder(opened, units, decision.space, network=subject.network)
        return AutoencoderCodec(autoencoder, runtime, memory=memory, own=True)
    logging.getLogger(__name__).warning("%s Its latents are kept in a space of its own.", decision.sentence())
    units = opened.normalisation or Normalisation.identity(subject.network.spec.channels)
    autoencoder = read_autoencoder(opened, units, network=subject.network)
    return AutoencoderCodec(autoencoder, runtime, memory=memory, own=True)


def open_decoder(denoiser: DenoiserSubject, path: Path) -> AnyAutoencoder:
    """What decodes latents of a denoiser's space, or is believed to: what is not sure is said once.

    Raises SpaceMismatch for one that is surely of another space, RequestError for what decodes nothing.
    """
    candidate = looked_at(denoiser, path)
    if not halves(candidate.subject.network)[1]:
        raise RequestError(f"{path} holds an encoder alone, but a decoder was expected; give the file of its decoder.")
    return _chosen(candidate, "to decode", force=False).autoencoder


def looked_at(denoiser: DenoiserSubject, path: Path) -> Candidate:
    """An autoencoder, judged beside a denoiser. Raises RequestError for what holds none."""
    opened = open_autoencoder(path)
    subject = subject_of(opened)
    return Candidate(path=path, denoiser=denoiser, subject=subject, opened=opened, verdict=match(denoiser, subject))


def accepted(chosen: Candidate, *, force: bool) -> tuple[str, bool]:
    """Whether it belongs, for people, and whether it was forced; what is not sure is said once.

    Raises SpaceMismatch when it is surely foreign and not forced, or of other sizes.
    """
    verdict = chosen.verdict
    foreign = verdict.kind == "foreign"
    impossible = any(evidence.source == "shape" for evidence in verdict.evidence)
    if foreign and (impossible or not force):
        raise SpaceMismatch(
            verdict.sentence() + (" Force cannot help: the sizes differ." if impossible and force else "")
        )
    if verdict.kind != "belongs":
        logging.getLogger(__name__).warning("%s", verdict.sentence())
    result = {"belongs": "it belongs", "foreign": "it is foreign, and was forced"}.get(
        verdict.kind, "whether it belongs cannot be told"
    )
    return result, foreign


def units_of(chosen: Candidate) -> Normalisation | None:
    """What brings its raw latents into the denoiser's space: its own units, else those of that space, else those of
    the autoencoder that the denoiser came with.
    """
    space, own = chosen.verdict.denoiser_space, chosen.denoiser.autoencoder
    units = chosen.opened.normalisation or (units_in(chosen.subject, space.id) if space else None)
    return units or (own and own.normalisation)


def _chosen(candidate: Candidate, why: str, *, force: bool) -> _Chosen:
    """What the model gets of a candidate. Raises SpaceMismatch when that is surely wrong and not forced."""
    result, forced = accepted(candidate, force=force)
    autoencoder = read_autoencoder(
        candidate.opened,
        units_of(candidate),
        candidate.verdict.denoiser_space,
        network=candidate.subject.network,
    )
    return _Chosen(autoencoder=autoencoder, origin=f"{candidate.path}, {why}: {result}", forced=forced)


def _best(model: Path, autoencoders: Sequence[Path], *, force: bool) -> _Chosen:
    """The one beside a model file that surely belongs to it, or alone may; only the best so far is held."""
    denoiser = open_denoiser(model)
    best: Candidate | None = None
    unsure: list[Path] = []
    for path in autoencoders:
        one = looked_at(denoiser, path)
        if one.verdict.kind == "cannot tell":
            unsure.append(path)
        if best is None or _rank(one) > _rank(best):
            best = one
    if best is not None and (best.verdict.kind == "belongs" or [best.path] == unsure):
        return _chosen(best, f"of {len(autoencoders)} beside {model.name}", force=force)
    names = ", ".join(path.name for path in unsure or autoencoders) or "none is there"
    raise RequestError(
        f"{model} has no autoencoder inside, and of those beside it none surely belongs ({names}); name one with --vae."
    )


def _rank(candidate: Candidate) -> tuple[bool, bool, float]:
    verdict = candidate.verdict
    return verdict.kind == "belongs", verdict.kind == "cannot tell", verdict.confidence


def sorted_out(folder: Path) -> tuple[Path, list[Path]]:
    """The one file of a folder that has a denoiser, and those that are autoencoders; of two halves, the encoder's."""
    endings = {ending for known in ENDINGS.values() for ending in known}
    models: list[Path] = []
    autoencoders: list[Path] = []
    for path in sorted(file for file in folder.iterdir() if file.suffix.lower() in endings):
        parts = open_checkpoint(path).parts
        if "unet" in parts:
            models.append(path)
        elif "vae" in parts:
            spec = parts["vae"].spec
            half = isinstance(spec, TinySpec) and not spec.encodes and path.name.replace("decoder", "encoder")
            if not half or half == path.name or not (folder / half).is_file():
                autoencoders.append(path)
    if len(models) != 1:
        found = ", ".join(path.name for path in models) or "none"
        raise RequestError(
            f"{folder} is no model folder, and one of its files has to have a denoiser (these have: {found}); "
            "name the file that is meant."
        )
    return models[0], autoencoders
