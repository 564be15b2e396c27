"""Files and folders -> the two sides of a match."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

from fictile.autoencoder import KNOWN, TinySpec
from fictile.checkpoint import (
    Weights,
    assemble_autoencoder,
    content_hash,
    load_autoencoder,
    load_checkpoint,
    load_model,
    open_checkpoint,
    open_weights,
)
from fictile.checkpoint.autoencoder_names import bare_half
from fictile.checkpoint.families import SPACES as FAMILY_SPACES
from fictile.checkpoint.folder import MODEL, VAE
from fictile.checkpoint.identify import own_words
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError
from fictile.latent import SPACES
from fictile.matching.subjects import DenoiserSubject, VaeSubject

# The spaces that families of denoisers work in, beyond those whose files bundle a KL autoencoder.
_SPACES: Mapping[str, str] = {
    **FAMILY_SPACES, "flux2": "flux2", "wan": "wan21", "qwen-image": "wan21", "sana": "sana"
}  # fmt: skip


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
    space = SPACES.get(_SPACES.get(identity.family or "", ""))
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
    """The autoencoder in a file of Fictile's, in a model's folder, in a checkpoint or alone; of a tiny one, both of its
    files are read where they lie side by side.

    Raises RequestError for what is missing, damaged or no autoencoder.
    """
    path = Path(name)
    if (path / MODEL).exists():
        return VaeSubject.of(load_autoencoder(path / VAE))
    if path.is_file():
        weights = open_weights(path)
        if own_words(weights.metadata).get("kind") == "autoencoder":
            return replace(VaeSubject.of(load_autoencoder(path)), name=str(name))
        if tiny := _tiny(path, weights):
            return tiny
    checkpoint = open_checkpoint(name)
    if "vae" not in checkpoint.parts:
        raise RequestError(f"{name} is {checkpoint.identity.title}, and has no autoencoder; give one.")
    network = load_checkpoint(checkpoint, roles=("vae",)).vae
    assert network is not None
    beside = "unet" in checkpoint.parts
    return VaeSubject(
        name=str(name),
        network=network,
        normalisation=checkpoint.normalisation,
        space=checkpoint.space,
        told="bundle" if beside else "metadata",
        hashes=tuple(content_hash(file) for file in checkpoint.parts["vae"].weights.files) if not beside else (),
    )


def _tiny(path: Path, weights: Weights) -> VaeSubject | None:
    """A tiny autoencoder as it was released: one half in this file, the other one beside it, if it is there."""
    half = bare_half(weights.tensors)
    files = {path: weights}
    if half:
        other = path.with_name(path.name.replace(half, "decoder" if half == "encoder" else "encoder"))
        if other != path and other.is_file():
            files[other] = open_weights(other)
    where = {
        f"taesd_{own}.{tensor}" if (own := bare_half(one.tensors)) else tensor: (one, tensor)
        for one in files.values()
        for tensor in one.tensors
    }
    for known in KNOWN.values():
        if isinstance(known.spec, TinySpec):
            try:
                made = assemble_autoencoder(
                    known, where, lambda tensor: where[tensor][0].read(where[tensor][1]), where=str(path)
                )
            except RequestError:
                continue
            return VaeSubject(
                name=" and ".join(map(str, files)),
                network=made.network,
                normalisation=made.normalisation,
                hashes=tuple(content_hash(file) for file in files),
            )
    return None
