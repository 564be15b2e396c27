"""A checkpoint that people own -> the parts of a model, and where any model is read from."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch

from fictile.autoencoder import AnyAutoencoder
from fictile.checkpoint.checkpoint import Checkpoint, LoadedCheckpoint, load_checkpoint, open_checkpoint
from fictile.checkpoint.files import content_hash, joined_hash
from fictile.checkpoint.folder import BUNDLED, MODEL, Defaults, Hashes, Parts, load_model
from fictile.checkpoint.hub import HUB, INDEX
from fictile.checkpoint.identify import Identity
from fictile.checkpoint.parts import Role
from fictile.denoiser import Denoiser
from fictile.errors import RequestError
from fictile.schedule import Prediction
from fictile.text import TEXT_FAMILIES, CLIPConditioner

PREDICTIONS: Mapping[str | None, Prediction] = {"eps": "eps", "v": "v"}
GUIDANCE = 7.0
DRAWN = (None, "base", "inpaint", "instruct-pix2pix")  # variants of a model: the last two edit pictures
RESCALE = 0.7  # of the guidance of models that draw from pure noise (arXiv 2305.08891, section 3.4)


def open_model(
    name: str | PathLike[str],
    autoencoder: AnyAutoencoder | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    weights: bool = True,
) -> Parts:
    """Read a model: a folder of Fictile's own, a folder of diffusers, a single file, or `hub:owner/name[/file]`; an
    `autoencoder` of its space takes the place of its own, if it has one. Without `weights`, only headers are read: the
    networks are on torch's meta device, and nothing is hashed.

    Text encoders and denoiser are in `dtype`, the autoencoder in float32, all on the CPU and held once.

    Raises RequestError for what is missing, damaged or no model that can draw.
    """
    path = Path(name)
    if str(name).startswith(HUB) or path.is_file() or ((path / INDEX).is_file() and not (path / MODEL).exists()):
        return load_published(name, autoencoder, dtype=dtype, weights=weights)
    if not path.exists():
        raise RequestError(
            f"{path} does not exist; give a folder of Fictile's or of diffusers, a single file, or hub:owner/name."
        )
    return load_model(path, autoencoder, dtype=dtype, weights=weights)


def load_published(
    name: str | PathLike[str] | Checkpoint,
    autoencoder: AnyAutoencoder | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    weights: bool = True,
) -> Parts:
    """The parts of a Stable Diffusion 1, 2 or XL with everything in it, in `dtype` on the CPU.

    The autoencoder is the one that it is bundled with, in float32, unless another is given. `weights` is as in
    `open_model`.

    Raises RequestError as `load_checkpoint` does; for a model that lacks a part, that draws from more than a text, or
    whose prediction is unknown.
    """
    checkpoint = name if isinstance(name, Checkpoint) else open_checkpoint(name)
    identity, where = checkpoint.identity, str(checkpoint.path)
    if not identity.problems:  # which `load_checkpoint` raises
        _check(identity, where, given=("autoencoder",) if autoencoder else ())
    roles: tuple[Role, ...] = ("unet", "text_encoder", "text_encoder_2")
    loaded = load_checkpoint(checkpoint, dtype=dtype, roles=roles, weights=weights)
    hashes = _hashes(checkpoint) if weights else None
    title = checkpoint.path.stem if checkpoint.path.is_file() else checkpoint.path.resolve().name
    if str(name).startswith(HUB):
        title = str(name).removeprefix(HUB)
    if autoencoder is None:
        own = load_checkpoint(checkpoint, roles=("vae",), weights=weights)
        autoencoder = own.autoencoder(title, hashes and hashes.vae)
    elif hashes:
        hashes = replace(hashes, vae=autoencoder.content_hash or hashes.vae)
    assert loaded.unet is not None, "what lacks a U-Net has been refused"
    return Parts(
        name=title,
        autoencoder=autoencoder,
        text=_conditioner(loaded),
        denoiser=Denoiser(
            loaded.unet,
            loaded.schedule,
            PREDICTIONS[identity.prediction],
            autoencoder.space,
            refines=identity.family == "sdxl-refiner",
        ),
        defaults=_defaults(identity),
        hashes=hashes,
        vae_origin=f"{BUNDLED}, {checkpoint.vae_origin}" if checkpoint.vae_origin else BUNDLED,
        vae_forced=checkpoint.vae_forced,
    )


def _check(identity: Identity, where: str, given: tuple[str, ...]) -> None:
    """Raises RequestError for what cannot draw from a text alone; the parts that are `given` may be missing."""
    if identity.kind in ("autoencoder", "text encoder"):
        raise RequestError(
            f"{where} is {identity.title}, one part of a model; give the whole model, a file or a folder of diffusers."
        )
    if identity.family in TEXT_FAMILIES and identity.prediction not in PREDICTIONS:
        raise RequestError(f"{where} predicts something unknown to Fictile; give a model that predicts eps or v.")
    if identity.family not in TEXT_FAMILIES or not identity.supported:
        known = "Stable Diffusion 1, 2 and XL, SSD-1B and Vega"
        raise RequestError(f"{where} is {identity.title}, which Fictile does not draw with yet; give one of {known}.")
    if identity.variant not in DRAWN:
        raise RequestError(
            f"{where} is a model of the kind {identity.variant!r}, which needs more than a prompt; "
            "give the base model to draw from words alone."
        )
    if missing := [part for part in identity.missing if part not in given]:
        raise RequestError(
            f"{where} lacks its {' and its '.join(missing)}; give the whole model, a file or a folder of diffusers."
        )


def _conditioner(loaded: LoadedCheckpoint) -> CLIPConditioner:
    family = loaded.identity.family
    assert family is not None, "an unknown family has been refused"
    networks = tuple(network for network in (loaded.text_encoder, loaded.text_encoder_2) if network is not None)
    return CLIPConditioner(TEXT_FAMILIES[family], networks)


def _defaults(identity: Identity) -> Defaults:
    side = identity.resolution or 512
    if identity.zero_terminal_snr:
        return Defaults(
            size=(side, side), guidance=GUIDANCE, guidance_rescale=RESCALE, sampler="euler", schedule="trailing"
        )
    return Defaults(size=(side, side), guidance=GUIDANCE)


def _hashes(checkpoint: Checkpoint) -> Hashes:
    """Of a single file, its own for every part; of a folder, those of each part's files."""
    known = {file: content_hash(file) for file in checkpoint.files}

    def of(roles: Iterable[Role]) -> str:
        parts = [checkpoint.parts[role] for role in roles if role in checkpoint.parts]
        return joined_hash([known[file] for file in sorted({file for part in parts for file in part.weights.files})])

    return Hashes(
        model=joined_hash([known[file] for file in sorted(known)]),
        vae=of(["vae"]),
        unet=of(["unet"]),
        text=of(["text_encoder", "text_encoder_2"]),
    )
