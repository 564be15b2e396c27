"""Checkpoints that people own, from a single file, a folder of diffusers or the hub: opened without being loaded, and
loaded without being held twice.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from fictile.autoencoder import (
    DC,
    KL,
    KNOWN,
    AnyAutoencoder,
    Known,
    Normalisation,
    NormalisedAutoencoder,
    Tiny,
    Wan,
    published,
)
from fictile.autoencoder import Network as AutoencoderNetwork
from fictile.autoencoder import Spec as AutoencoderSpec
from fictile.checkpoint.assemble import STATISTICS, batch_norm
from fictile.checkpoint.families import SPACES
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.hub import resolve
from fictile.checkpoint.identify import Identity, Parts, averaged, identified, own_words
from fictile.checkpoint.parts import Role
from fictile.checkpoint.pipeline import is_pipeline, open_pipeline
from fictile.checkpoint.read import open_weights
from fictile.checkpoint.shapes import Network
from fictile.denoiser import UNet
from fictile.errors import RequestError
from fictile.latent import LatentSpace
from fictile.schedule import DDPM
from fictile.text import TextTransformer

N = TypeVar("N", bound=Network)
Told = Literal["metadata", "bundle"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What is in a file or folder: nothing is loaded yet."""

    path: Path
    identity: Identity
    parts: Parts = field(repr=False)
    files: tuple[Path, ...]  # with weights
    size: int  # of these together, in bytes
    metadata: Mapping[str, str]
    schedule: DDPM = field(default_factory=DDPM)  # the noise it was trained on
    normalisation: Normalisation | None = None  # of the bundled autoencoder, where it is known
    space: LatentSpace | None = None  # of its latents, where it is known
    told: Told | None = None  # who says the space: the autoencoder's own file, or the denoiser that it came with
    vae_origin: str | None = None  # which autoencoder was put in the place of its own and why, for people
    vae_forced: bool = False  # although it is of another space

    @property
    def candidates(self) -> tuple[Known, ...]:
        """The published autoencoders that the one in it can be, by the sizes of its network."""
        vae = self.parts.get("vae")
        return published(vae.spec) if vae and isinstance(vae.spec, AutoencoderSpec) else ()


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """The networks of a checkpoint, on the CPU and in evaluation mode; None for what it does not have.

    `unet` is None also for a denoiser that is not supported: `identity.notes` says so.
    """

    identity: Identity
    schedule: DDPM
    unet: UNet | None
    vae: AutoencoderNetwork | None
    text_encoder: TextTransformer | None
    text_encoder_2: TextTransformer | None
    normalisation: Normalisation | None  # of `vae`, where it is known
    space: LatentSpace | None
    weights: bool = True  # whether the networks have any

    def autoencoder(self, name: str, content_hash: str | None = None) -> AnyAutoencoder:
        """The bundled network as an autoencoder. Raises RequestError where there is none, or its units are unknown."""
        if self.vae is None:
            raise RequestError(f"{name} has no autoencoder in it; give one that belongs to it.")
        if self.normalisation is None:
            raise RequestError(
                f"{name} does not say which latent space it has, and files of {self.vae.spec.channels} channels can be "
                "of several; give the model that it belongs to."
            )
        space = self.space if self.weights else self.space or own_space(name, self.vae.spec, self.normalisation)
        return NormalisedAutoencoder(self.vae, self.normalisation, name, space, content_hash=content_hash)


def open_checkpoint(name: str | PathLike[str], *, variant: str | None = None, ema: bool = False) -> Checkpoint:
    """Open a single file (safetensors, a torch pickle, GGUF), a folder of diffusers, or `hub:owner/name[/file]`.

    `variant` chooses weights of a folder, such as "fp16"; `ema` takes the averaged copy of the U-Net that some files
    carry beside the other. What is no model is opened too: its identity says what it is.

    Raises RequestError for what is missing, damaged or no weights at all, or has no such copy.
    """
    path = resolve(name)
    if path.is_dir():
        return _folder(path, variant, ema)
    if variant:
        raise RequestError(f"{path} is a single file, and variants are in folders of diffusers; leave {variant!r} out.")
    weights = open_weights(path)
    identity, parts = identified(weights)
    if ema:
        if not identity.ema or "unet" not in parts:
            raise RequestError(f"{path} has no averaged copy of its U-Net (model_ema); load it without.")
        parts = averaged(parts, weights)
    words = own_words(weights.metadata)
    schedule = DDPM(zero_terminal_snr=identity.zero_terminal_snr)
    if isinstance(words.get("schedule"), dict):
        schedule = from_json(DDPM, words["schedule"], f"the noise schedule in {path}")
        identity = replace(identity, zero_terminal_snr=schedule.zero_terminal_snr)
    normalisation, space, told = _units(identity, parts, words, str(path))
    return Checkpoint(
        path=path,
        identity=identity,
        parts=parts,
        files=weights.files,
        size=weights.size,
        metadata=weights.metadata,
        schedule=schedule,
        normalisation=normalisation,
        space=space,
        told=told,
        vae_origin=str(words["vae_origin"]) if "vae_origin" in words else None,
        vae_forced=words.get("vae_forced") is True,
    )


def load_checkpoint(
    name: str | PathLike[str] | Checkpoint,
    *,
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
    ema: bool = False,
    roles: tuple[Role, ...] = ("unet", "vae", "text_encoder", "text_encoder_2"),
    weights: bool = True,
) -> LoadedCheckpoint:
    """Load the networks of a checkpoint in `dtype`; `roles` are those that are wanted. Without `weights`, they are on
    torch's meta device, where they have shapes and no values.

    Memory holds the networks as they become, and beside them at most four tensors as they lie in the file. Raises
    RequestError as `open_checkpoint` does, and for what is no model (a LoRA, ...), does not fit together, or lacks
    tensors.
    """
    checkpoint = name if isinstance(name, Checkpoint) else open_checkpoint(name, variant=variant, ema=ema)
    identity = checkpoint.identity
    if identity.problems:
        raise RequestError(identity.problems[0])
    networks: dict[Role, Network] = {
        role: part.build(dtype) if weights else part.empty().to(dtype)
        for role, part in checkpoint.parts.items()
        if role in roles and (role != "unet" or identity.supported)
    }
    return LoadedCheckpoint(
        identity=identity,
        schedule=checkpoint.schedule,
        unet=_as(networks, "unet", UNet),
        vae=_autoencoder(networks.get("vae")),
        text_encoder=_as(networks, "text_encoder", TextTransformer),
        text_encoder_2=_as(networks, "text_encoder_2", TextTransformer),
        normalisation=checkpoint.normalisation,
        space=checkpoint.space,
        weights=weights,
    )


def own_space(name: str, spec: AutoencoderSpec, normalisation: Normalisation) -> LatentSpace:
    """A space of its own for an autoencoder without weights, which has nothing to be told from others by."""
    return LatentSpace(id=name, channels=normalisation.channels, factor=spec.factor * normalisation.patch)


def _folder(path: Path, variant: str | None, ema: bool) -> Checkpoint:
    if not is_pipeline(path):
        raise RequestError(f"{path} is a folder with neither model_index.json nor config.json; give a model's folder.")
    if ema:
        raise RequestError(f"{path} is a folder, and averaged copies are in single files only; load it without.")
    identity, parts, normalisation, schedule = open_pipeline(path, variant)
    words = own_words(parts["vae"].weights.metadata) if "vae" in parts else {}
    if normalisation:  # what the folder says goes before what a weight file in it does
        words = {**words, "normalisation": asdict(normalisation)}
    normalisation, space, told = _units(identity, parts, words, str(path))
    return Checkpoint(
        path=path,
        identity=replace(identity, zero_terminal_snr=schedule.zero_terminal_snr),
        parts=parts,
        files=tuple(file for part in parts.values() for file in part.weights.files),
        size=sum(part.weights.size for part in parts.values()),
        metadata={},
        schedule=schedule,
        normalisation=normalisation,
        space=space,
        told=told,
    )


def _units(
    identity: Identity, parts: Parts, words: Mapping[str, Any], where: str
) -> tuple[Normalisation | None, LatentSpace | None, Told | None]:
    """The units of the bundled autoencoder, and who says its space: the file itself; else the denoiser that it is
    bundled with; else nobody, and the units are those that all published ones of this network have in common, if any.
    """
    vae = parts.get("vae")
    if vae is None or not isinstance(vae.spec, AutoencoderSpec):
        return None, None, None
    normalisation = None
    if "normalisation" in words:
        normalisation = from_json(Normalisation, words["normalisation"], f"the normalisation in {where}")
    elif all(name in vae.weights for name in STATISTICS):
        normalisation = batch_norm(vae.weights)
    if words.get("space"):
        return normalisation, from_json(LatentSpace, words["space"], f"the latent space in {where}"), "metadata"
    known = KNOWN.get(SPACES.get(identity.family, "")) if identity.family else None
    if known and (own := _spoken(vae.spec, known, normalisation)):
        return own, known.space, "bundle"
    common = {candidate.normalisation for candidate in published(vae.spec)}
    return normalisation or (common.pop() if len(common) == 1 else None), None, None


def _spoken(spec: AutoencoderSpec, known: Known, said: Normalisation | None) -> Normalisation | None:
    """The units in which a network of this spec speaks the known one's space; None where it cannot, or says others."""
    own = known.normalisation or said
    if own is None or said not in (None, own):
        return None
    fits = (own.raw_channels, spec.factor * own.patch) == (spec.channels, known.space.factor)
    return own if fits else None


def _autoencoder(network: Network | None) -> AutoencoderNetwork | None:
    return network if isinstance(network, KL | DC | Wan | Tiny) else None


def _as(networks: Mapping[Role, Network], role: Role, kind: type[N]) -> N | None:
    network = networks.get(role)
    return network if isinstance(network, kind) else None
