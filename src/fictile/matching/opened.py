"""Files and folders -> the two sides of a match."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import cast

import torch

from fictile.autoencoder import Network
from fictile.checkpoint import (
    Checkpoint,
    content_hash,
    load_checkpoint,
    load_model,
    open_autoencoder,
    open_checkpoint,
)
from fictile.checkpoint.families import SPACES as FAMILY_SPACES
from fictile.checkpoint.folder import MODEL
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError
from fictile.latent import SPACES
from fictile.matching.subjects import DenoiserSubject, VaeSubject


def open_denoiser(name: str | PathLike[str]) -> DenoiserSubject:
    """The denoiser of a model: a folder of Fictile's, a folder of diffusers, a single file, or `hub:owner/name`.

    Of a model that is not Fictile's own only the autoencoder is loaded. Raises RequestError for what is missing,
    damaged or has no denoiser.
    """
    if (Path(name) / MODEL).exists():
        return DenoiserSubject.of(load_model(Path(name)))
    checkpoint = open_checkpoint(name)
    identity, unet = checkpoint.identity, checkpoint.parts.get("unet")
    if identity.family is None and unet is None:
        raise RequestError(f"{name} is {identity.title}, but a model with a denoiser was expected; give that first.")
    space = SPACES.get(FAMILY_SPACES.get(identity.family, "")) if identity.family else None
    autoencoder = None
    if "vae" in checkpoint.parts and checkpoint.normalisation is not None:
        autoencoder = load_checkpoint(checkpoint, roles=("vae",)).autoencoder(str(name))
    return DenoiserSubject(
        name=str(name),
        space=checkpoint.space or space,
        channels=unet.spec.out_channels if unet and isinstance(unet.spec, UNetSpec) else None,
        because=f"it is {identity.title}",
        autoencoder=autoencoder,
    )


def open_vae(name: str | PathLike[str]) -> VaeSubject:
    """Any autoencoder, alone or in what holds it (see `checkpoint.open_autoencoder`); its network is loaded.

    Raises RequestError for what is missing, damaged or no autoencoder.
    """
    return replace(subject_of(open_autoencoder(name)), name=str(name))


def subject_of(opened: Checkpoint) -> VaeSubject:
    """An opened autoencoder as one side of a match."""
    part = opened.parts["vae"]
    return VaeSubject(
        name=str(opened.path),
        network=cast(Network, part.build(torch.float32)),
        normalisation=opened.normalisation,
        space=opened.space,
        told=opened.told,
        hashes=tuple(content_hash(file) for file in part.weights.files) if opened.told != "bundle" else (),
    )
