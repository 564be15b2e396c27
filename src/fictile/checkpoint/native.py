"""Fictile's own weight files: safetensors that say what they are, so that nothing has to be guessed from names.

The metadata key "fictile" holds JSON: the kind, the format's version, the network's spec and what else belongs to it.
Parameters are named as in diffusers and transformers. Weights are stored in float16 unless asked otherwise, and are
float32 in memory.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any, Literal, TypeVar, cast, get_args

import torch
from safetensors.torch import save_file
from torch import Tensor

from fictile.autoencoder import KINDS, AnyAutoencoder, Normalisation, NormalisedAutoencoder, kind_of
from fictile.autoencoder import Network as AutoencoderNetwork
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.files import content_hash
from fictile.checkpoint.header import Header, read_header
from fictile.checkpoint.parts import Part, Role
from fictile.checkpoint.read import open_weights
from fictile.checkpoint.shapes import Network, Spec
from fictile.denoiser import UNet, UNetSpec
from fictile.errors import RequestError
from fictile.files import written_whole
from fictile.latent import LatentSpace
from fictile.text import TextSpec, TextTransformer

VERSION = 1  # of the format
KEY = "fictile"  # of the metadata; latents use it too

Kind = Literal["autoencoder", "denoiser", "text", "latent"]
S = TypeVar("S")
FilePath = str | PathLike[str]


def save_autoencoder(autoencoder: AnyAutoencoder, path: FilePath, dtype: torch.dtype = torch.float16) -> None:
    """Write the network and the kind it is of, its normalisation, its name and its latent space.

    Raises RequestError when the place cannot be written to or a weight does not fit into `dtype`.
    """
    about = {
        "network": kind_of(autoencoder.network.spec),
        "name": autoencoder.name,
        "space": asdict(autoencoder.space),
        "normalisation": asdict(autoencoder.normalisation),
    }
    write_native(path, "autoencoder", autoencoder.network, about, dtype)


def load_autoencoder(path: FilePath, *, weights: bool = True) -> AnyAutoencoder:
    """Read what `save_autoencoder` wrote, in float32 on the CPU, in evaluation mode; without `weights`, on torch's meta
    device.

    Raises RequestError when the file is missing, damaged, foreign or of another kind.
    """
    about = read_about(path, "autoencoder")
    kind = KINDS.get(str(about.get("network", "kl")))  # files of version 0.1 are all of that kind, and do not say so
    if kind is None:
        raise RequestError(
            f"{path} holds an autoencoder of kind {about['network']!r}, which this version of Fictile does not know; "
            "open it with a newer one."
        )
    return NormalisedAutoencoder(
        cast(AutoencoderNetwork, _build("vae", spec_in(about, kind, path), path, weights=weights)),
        from_json(Normalisation, about.get("normalisation"), f"the normalisation in {path}"),
        name=str(about.get("name")),
        space=from_json(LatentSpace, about.get("space"), f"the latent space in {path}"),
        content_hash=content_hash(path) if weights else None,
    )


def save_unet(
    network: UNet, path: FilePath, dtype: torch.dtype = torch.float16, *, space: LatentSpace | None = None
) -> None:
    """Write the U-Net, and the latent space it works in where that is known.

    Raises RequestError when the place cannot be written to or a weight does not fit into `dtype`.
    """
    about = {"space": asdict(space)} if space else {}
    write_native(path, "denoiser", network, about, dtype)


def load_unet(path: FilePath, dtype: torch.dtype = torch.float32, *, weights: bool = True) -> UNet:
    """Read what `save_unet` wrote, in `dtype` on the CPU, in evaluation mode; without `weights`, on the meta device.

    Raises RequestError when the file is missing, damaged, foreign or of another kind.
    """
    spec = spec_in(read_about(path, "denoiser"), UNetSpec, path)
    return cast(UNet, _build("unet", spec, path, dtype, weights=weights))


def save_text(network: TextTransformer, path: FilePath, dtype: torch.dtype = torch.float16) -> None:
    """Write the text transformer; its tokenizer is a file of its own.

    Raises RequestError when the place cannot be written to or a weight does not fit into `dtype`.
    """
    write_native(path, "text", network, {}, dtype)


def load_text(path: FilePath, dtype: torch.dtype = torch.float32, *, weights: bool = True) -> TextTransformer:
    """Read what `save_text` wrote, in `dtype` on the CPU, in evaluation mode; without `weights`, on the meta device.

    Raises RequestError when the file is missing, damaged, foreign or of another kind.
    """
    spec = spec_in(read_about(path, "text"), TextSpec, path)
    return cast(TextTransformer, _build("text_encoder", spec, path, dtype, weights=weights))


def write_native(
    path: FilePath,
    kind: Kind,
    network: Network,
    about: Mapping[str, object],
    dtype: torch.dtype,
) -> None:
    """A self-describing file: the weights of `network` in `dtype`, its spec, and what `about` says of it.

    There is one metadata key, so that the same weights always make the same bytes.
    """
    tensors = {name: _stored(name, tensor, dtype) for name, tensor in network.state_dict().items()}
    description = {"kind": kind, "version": VERSION, "spec": asdict(network.spec), **about}
    with written_whole(path) as temporary:
        save_file(tensors, temporary, {KEY: json.dumps(description)})


def read_about(path: FilePath, kind: Kind) -> dict[str, object]:
    """What the file says of itself; RequestError unless it is a native file of this kind."""
    header = read_header(path)
    about = parse_about(header, path)
    if about is None:
        raise RequestError(
            f"{path} is a safetensors file with {len(header.tensors)} tensors that Fictile did not write; "
            f"give {_ARTICLES[kind]} saved by Fictile."
        )
    if about["kind"] != kind:
        raise RequestError(f"{path} holds {_ARTICLES[about['kind']]}, but {_ARTICLES[kind]} was expected.")
    return about


def parse_about(header: Header, path: FilePath) -> dict[str, Any] | None:
    """The "fictile" metadata with its kind and version checked; None when the file is of another origin."""
    if KEY not in header.metadata:
        return None
    try:
        about = json.loads(header.metadata[KEY])
        known = about["version"] == VERSION and about["kind"] in get_args(Kind)
    except (ValueError, TypeError, LookupError, RecursionError):
        raise RequestError(f"{path} is damaged: what it says of itself is not readable; save it again.") from None
    if not known:
        raise RequestError(
            f"{path} is of kind {about['kind']!r} and version {about['version']!r}, which this version of Fictile does "
            "not know; open it with a newer one."
        )
    return about


def spec_in(about: Mapping[str, object], kind: type[S], path: FilePath) -> S:
    """The network's spec out of the file's own description."""
    return from_json(kind, about.get("spec"), f"the spec in {path}")


def _build(
    role: Role, spec: Spec, path: FilePath, dtype: torch.dtype = torch.float32, *, weights: bool = True
) -> Network:
    """The network with the file's weights in `dtype`, or none. Raises RequestError when they are not its spec's."""
    part = Part(role=role, spec=spec, naming="diffusers", weights=open_weights(path))
    return part.build(dtype) if weights else part.empty()


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    kept = dtype if tensor.is_floating_point() else tensor.dtype  # a count of batches stays a whole number
    stored = tensor.detach().to(device="cpu", dtype=kept).contiguous()
    if not stored.isfinite().all():
        raise RequestError(
            f"{name} has values that {str(dtype).removeprefix('torch.')} cannot hold "
            f"(largest {tensor.abs().max().item():.3g}); save in float32, or train again if it is not finite."
        )
    return stored


_ARTICLES: dict[object, str] = {
    "autoencoder": "an autoencoder",
    "denoiser": "a U-Net",
    "text": "a text encoder",
    "latent": "a latent",
}
