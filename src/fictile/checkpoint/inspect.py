"""What a file or a folder is, told from its header: no network is loaded, and nothing in a file is run."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from fictile.checkpoint.checkpoint import Checkpoint, open_checkpoint
from fictile.checkpoint.config_file import CONFIG
from fictile.checkpoint.files import content_hash, recognise
from fictile.checkpoint.folder import MODEL, TEXT, UNET, VAE, hash_parts, read_model_file
from fictile.checkpoint.header import Header, read_header
from fictile.checkpoint.hub import INDEX, resolve
from fictile.checkpoint.identify import Identity, own_words, precision
from fictile.checkpoint.native import KEY, parse_about
from fictile.checkpoint.parts import Part
from fictile.checkpoint.read import INDEX as SHARDS
from fictile.checkpoint.released_files import RELEASED
from fictile.errors import RequestError
from fictile.picture import read_picture_header

METADATA = "its metadata"
_DESCRIPTIONS: Mapping[str, str] = {
    "autoencoder": "an autoencoder of Fictile",
    "denoiser": "a U-Net of Fictile",
    "text": "a text encoder of Fictile",
    "latent": "a latent of Fictile",
}


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network in a checkpoint."""

    role: str  # as diffusers names its folder
    label: str  # for people
    parameters: int
    dtype: str
    naming: str  # whose names its tensors have


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What `inspect_file` found. What does not apply is None or empty."""

    path: str
    kind: str  # "autoencoder", "denoiser", "text", "latent", "picture", what `Identity.kind` or `recognise` says
    description: str  # the same as a phrase: "an autoencoder of Fictile"
    size: int  # in bytes; of a folder, its weight files together
    width: int | None = None  # of a picture
    height: int | None = None
    sha256: str | None = None  # of a file; of a model folder, the hash that a recipe names
    parameters: int | None = None
    dtype: str | None = None  # "F16", or several with their shares: "F16 90%, F32 10%"
    space: str | None = None  # id of the latent space
    space_told_by: str | None = None  # who says so, for people
    candidates: tuple[str, ...] = ()  # where nobody does: the spaces whose autoencoders have these names and sizes
    decides: str | None = None  # and the command that looks closer
    vae_origin: str | None = None  # which autoencoder was baked into a model, and whether it belongs
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])  # what it says of itself: spec, recipe, ...
    identity: Identity | None = None  # of weights that Fictile did not write as its own
    networks: tuple[Network, ...] = ()  # in them
    problem: str | None = None  # why it cannot be used, as a sentence


def inspect_file(path: str | PathLike[str]) -> Inspection:
    """Tell what a file or a folder is.

    Raises RequestError for what cannot be read: a file that is missing, damaged, or of a kind that is not known here, a
    pickle with more than tensors, a folder that is no model. What can be read and is of no use, such as a model with
    tensors missing, is told, with its problem.
    """
    path = resolve(path)
    if path.is_dir():
        return _folder(path)
    if SHARDS.search(path.name):
        return _checkpoint(open_checkpoint(path))
    kind = recognise(path)
    if kind == "picture":
        return _picture(path)
    return _safetensors(path) if kind == "safetensors" else _checkpoint(open_checkpoint(path), content_hash(path))


def _safetensors(path: Path) -> Inspection:
    header = read_header(path)
    if own_words(header.metadata).get("kind") == "checkpoint":
        return _checkpoint(open_checkpoint(path), content_hash(path))
    about = parse_about(header, path)
    if about is None:
        return _checkpoint(open_checkpoint(path), content_hash(path))
    return Inspection(
        path=str(path),
        kind=about["kind"],
        description=_DESCRIPTIONS[about["kind"]],
        size=header.size,
        sha256=content_hash(path),
        parameters=None if about["kind"] == "latent" else _parameters(header),
        dtype=_dtype(header),
        space=_space(about),
        space_told_by=METADATA if about["kind"] == "autoencoder" else None,
        about=about | {name: said for name, said in header.metadata.items() if name != KEY},
    )


def _checkpoint(checkpoint: Checkpoint, sha256: str | None = None) -> Inspection:
    identity = checkpoint.identity
    space, told_by = _told(checkpoint, sha256)
    candidates = () if space else tuple(dict.fromkeys(known.space.id for known in checkpoint.candidates))
    return Inspection(
        path=str(checkpoint.path),
        kind=identity.kind,
        description=identity.title,
        size=checkpoint.size,
        sha256=sha256,
        parameters=identity.parameters,
        dtype=identity.precision or None,
        space=space,
        space_told_by=told_by,
        candidates=candidates,
        vae_origin=checkpoint.vae_origin,
        decides=f"fictile match {shlex.quote(str(checkpoint.path))}" if candidates else None,
        about={name: value for name, value in checkpoint.metadata.items() if name != "modelspec.thumbnail"},
        identity=identity,
        networks=tuple(_network(part) for part in checkpoint.parts.values()),
        problem=identity.problems[0] if identity.problems else None,
    )


def _told(checkpoint: Checkpoint, sha256: str | None) -> tuple[str | None, str | None]:
    """The space of the autoencoder, and who says it: metadata, the denoiser beside it, or a released file's hash."""
    if checkpoint.space:
        return checkpoint.space.id, METADATA if checkpoint.told == "metadata" else "the denoiser that it came with"
    if checkpoint.identity.kind != "autoencoder":
        return None, None
    hashes = [sha256] if sha256 else [content_hash(file) for file in checkpoint.files]
    released = next((RELEASED[digest] for digest in hashes if digest in RELEASED), None)
    return (released.space, f"its hash: it is {released.name}, as released") if released else (None, None)


def _network(part: Part) -> Network:
    return Network(
        role=part.role,
        label=part.label,
        parameters=part.parameters,
        dtype=precision(part.weights.tensors.values()),
        naming=part.naming,
    )


def _picture(path: Path) -> Inspection:
    header = read_picture_header(path)
    origin = "that Fictile made, with its recipe" if "fictile" in header.text else "without a recipe"
    return Inspection(
        path=str(path),
        kind="picture",
        description=f"a {header.format} picture {origin}",
        size=path.stat().st_size,
        width=header.width,
        height=header.height,
        sha256=content_hash(path),
        about=header.text,
    )


def _folder(path: Path) -> Inspection:
    if (path / MODEL).exists():
        model = read_model_file(path)
        headers = [read_header(path / name) for name in (VAE, UNET, TEXT)]
        return Inspection(
            path=str(path),
            kind="model",
            description="a model folder of Fictile",
            size=sum(header.size for header in headers),
            sha256=hash_parts(path).model,
            parameters=sum(_parameters(header) for header in headers),
            dtype=_dtype(*headers),
            space=model.space.id,
            about=asdict(model),
        )
    if (path / INDEX).is_file() or (path / CONFIG).is_file():
        return _checkpoint(open_checkpoint(path))
    raise RequestError(f"{path} is a folder with neither {MODEL} nor {INDEX} nor {CONFIG}; give a model's folder.")


def _parameters(header: Header) -> int:
    return sum(tensor.count for tensor in header.tensors.values())


def _dtype(*headers: Header) -> str | None:
    """The type of all values, or every type with its share."""
    return precision(tensor for header in headers for tensor in header.tensors.values()) or None


def _space(about: Mapping[str, Any]) -> str | None:
    """The id of the latent space in a native description, if it has one."""
    space = about.get("space")
    return str(space["id"]) if isinstance(space, dict) and "id" in space else None
