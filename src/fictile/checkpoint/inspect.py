"""What a file is, told from its header: no tensor is read, no pickle is opened."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

from fictile.checkpoint.diffusers import CONFIG, WEIGHTS, read_config
from fictile.checkpoint.files import content_hash, recognise
from fictile.checkpoint.folder import MODEL, TEXT, UNET, VAE, hash_parts, read_model_file
from fictile.checkpoint.header import Header, read_header
from fictile.checkpoint.native import parse_about
from fictile.errors import RequestError
from fictile.picture import read_picture_header

_NOT_OPENED: Mapping[str, str] = {
    "empty": "an empty file",
    "pickle": "a Python pickle, which can run any code when it is opened; Fictile never opens one",
    "git-lfs pointer": "a Git LFS pointer in place of the real file; run `git lfs pull`",
    "web page": "a web page, saved in place of a file",
    "gguf": "a GGUF file, which Fictile does not read",
    "unknown": "a file of a kind that Fictile does not know",
}
_DESCRIPTIONS: Mapping[str, str] = {
    "autoencoder": "an autoencoder of Fictile",
    "denoiser": "a U-Net of Fictile",
    "text": "a text encoder of Fictile",
    "latent": "a latent of Fictile",
}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What `inspect_file` found. What does not apply is None or empty."""

    path: str
    kind: str  # "autoencoder", "denoiser", "text", "latent", "model", "diffusers", "picture", or what `recognise` says
    description: str  # the same as a phrase: "an autoencoder of Fictile"
    size: int  # in bytes; of a folder, its weight files together
    width: int | None = None  # of a picture
    height: int | None = None
    sha256: str | None = None  # of a file; of a model folder, the hash that a recipe names
    parameters: int | None = None
    dtype: str | None = None  # "F16", or several with their shares: "F16 90%, F32 10%"
    space: str | None = None  # id of the latent space
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])  # what it says of itself: spec, recipe, ...


def inspect_file(path: str | PathLike[str]) -> Inspection:
    """Tell what a file or a folder is.

    Raises RequestError when it is missing, a damaged safetensors file, a damaged picture, or a folder that is no model.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    kind = recognise(path)
    if kind == "safetensors":
        return _safetensors(path)
    if kind == "picture":
        return _picture(path)
    size = path.stat().st_size
    return Inspection(path=str(path), kind=kind, description=_NOT_OPENED[kind], size=size, sha256=content_hash(path))


def _safetensors(path: Path) -> Inspection:
    header = read_header(path)
    about = parse_about(header, path)
    if about is None:
        kind = "safetensors"
        description = f"a safetensors file with {len(header.tensors)} tensors, not written by Fictile"
    else:
        kind = about["kind"]
        description = _DESCRIPTIONS[kind]
    return Inspection(
        path=str(path),
        kind=kind,
        description=description,
        size=header.size,
        sha256=content_hash(path),
        parameters=None if kind == "latent" else _parameters(header),
        dtype=_dtype(header),
        space=_space(about or {}),
        about=about or header.metadata,
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
        return _of_headers(
            path,
            headers,
            kind="model",
            description="a model folder of Fictile",
            sha256=hash_parts(path).model,
            space=model.space.id,
            about=asdict(model),
        )
    if (path / CONFIG).exists():
        config = read_config(path)
        headers = [read_header(path / WEIGHTS)]
        space = _space(parse_about(headers[0], path / WEIGHTS) or {})
        description = f"a diffusers folder with {config['_class_name']}"
        return _of_headers(path, headers, kind="diffusers", description=description, space=space, about=config)
    raise RequestError(f"{path} is a folder with neither {MODEL} nor {CONFIG}; give a file or a model folder.")


def _of_headers(
    path: Path,
    headers: list[Header],
    *,
    kind: str,
    description: str,
    space: str | None,
    about: Mapping[str, Any],
    sha256: str | None = None,
) -> Inspection:
    return Inspection(
        path=str(path),
        kind=kind,
        description=description,
        size=sum(header.size for header in headers),
        sha256=sha256,
        parameters=sum(_parameters(header) for header in headers),
        dtype=_dtype(*headers),
        space=space,
        about=about,
    )


def _parameters(header: Header) -> int:
    return sum(prod(tensor.shape) for tensor in header.tensors.values())


def _dtype(*headers: Header) -> str | None:
    """The type of all values, or every type with its share."""
    counts = Counter[str]()
    for header in headers:
        for tensor in header.tensors.values():
            counts[tensor.dtype] += prod(tensor.shape)
    if len(counts) <= 1:
        return next(iter(counts), None)
    return ", ".join(f"{dtype} {count / counts.total():.0%}" for dtype, count in counts.most_common())


def _space(about: Mapping[str, Any]) -> str | None:
    """The id of the latent space in a native description, if it has one."""
    space = about.get("space")
    return str(space["id"]) if isinstance(space, dict) and "id" in space else None
