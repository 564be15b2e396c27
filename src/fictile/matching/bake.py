"""What is converted: a model, perhaps with another autoencoder baked in; or an autoencoder alone, its space told."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

from fictile.checkpoint import Checkpoint, open_checkpoint
from fictile.checkpoint.autoencoders import candidates, with_other_half
from fictile.errors import RequestError, SpaceMismatch
from fictile.matching.choose import accepted, looked_at, units_of
from fictile.matching.decide import decide_space, units_in
from fictile.matching.opened import open_denoiser, subject_of


def open_to_convert(
    name: str | PathLike[str],
    vae: str | PathLike[str] | None = None,
    *,
    space: str | None = None,
    force: bool = False,
    variant: str | None = None,
    ema: bool = False,
) -> Checkpoint:
    """A checkpoint to be written in another form, with the autoencoder `vae` in the place of its own if one is given:
    after the same judgement that `generate` passes on it, and with `force` one of another space too.

    An autoencoder alone gets its other half, if it lies beside it, and its space, if that shows or is said: `space` is
    the id of a published one.

    Raises SpaceMismatch for a pair that surely does not belong together and for a space that is surely another,
    RequestError for what cannot be opened, and for a space of anything else than an autoencoder.
    """
    opened = open_checkpoint(name, variant=variant, ema=ema)
    if opened.identity.problems:
        return opened
    alone = opened.identity.kind == "autoencoder"
    if space is not None and not alone:
        raise RequestError(f"{opened.path} is {opened.identity.title}, but a space is said of an autoencoder alone.")
    if vae is not None:
        return _baked(name, opened, Path(vae), force=force)
    if not alone:
        return opened
    whole = with_other_half(opened)
    if space is not None:
        return _said(whole, space, force=force)
    if whole.normalisation is not None:
        return whole
    subject = subject_of(whole)
    told = decide_space(subject).space
    return replace(whole, space=told, normalisation=units_in(subject, told.id)) if told else whole


def _said(opened: Checkpoint, space: str, *, force: bool) -> Checkpoint:
    """An autoencoder whose user says its space, which is believed unless it shows another."""
    known = next((one for one in opened.candidates if one.space.id == space), None)
    if known is None:
        raise RequestError(
            f"{opened.path} cannot speak {space!r}, since its network is {candidates(opened)}; name one of these."
        )
    shown = decide_space(replace(subject_of(opened), space=known.space, told="metadata"))
    if not force and shown.space != known.space:
        raise SpaceMismatch(
            f"{opened.path} does not behave as an autoencoder of {space}; `fictile match` says why, and force says it "
            "all the same."
        )
    return replace(opened, space=known.space, normalisation=known.normalisation or opened.normalisation)


def _baked(name: str | PathLike[str], opened: Checkpoint, vae: Path, *, force: bool) -> Checkpoint:
    if "unet" not in opened.parts:
        raise RequestError(
            f"{opened.path} is {opened.identity.title}, but an autoencoder is baked into a whole model; give one."
        )
    chosen = looked_at(open_denoiser(name), vae)
    result, forced = accepted(chosen, force=force)
    identity = opened.identity
    return replace(
        opened,
        identity=replace(identity, missing=tuple(part for part in identity.missing if part != "autoencoder")),
        parts={**opened.parts, "vae": chosen.opened.parts["vae"]},
        normalisation=units_of(chosen),
        space=chosen.verdict.denoiser_space,
        vae_origin=f"{vae.name}, baked in: {result}",
        vae_forced=forced,
    )
