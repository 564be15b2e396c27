"""Pixels to files."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from jaxtyping import Float
from PIL import Image, PngImagePlugin
from torch import Tensor

from fictile.errors import RequestError
from fictile.picture.pixels import to_uint8

# How each extension is written: Pillow's name for the format, and its options.
_JPEG = ("JPEG", {"quality": 95, "subsampling": 0})
_FORMATS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    ".png": ("PNG", {}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": ("WEBP", {"quality": 95}),
}


def save_picture(pixels: Float[Tensor, "3 h w"], path: str | Path, text: Mapping[str, str] | None = None) -> None:
    """Write pixels in [-1, 1], rounded to 8 bit, in the format that the extension of `path` names.

    `text` becomes iTXt chunks of a PNG; JPEG and WebP are written without it. The file appears whole or not at all: it
    is written under a temporary name in the same folder and then renamed.
    Raises RequestError where `check_writable` does, FictileError for pixels that are not finite.
    """
    path = Path(path)
    check_writable(path)
    kind, options = _FORMATS[path.suffix.lower()]
    image = Image.fromarray(to_uint8(pixels))
    if kind == "PNG":
        options = {**options, "pnginfo": _chunks(text or {})}
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        image.save(part, format=kind, **options)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Raise RequestError if a picture cannot be saved at `path`: call it before the work whose result goes there."""
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise RequestError(
            f"{path} ends in {path.suffix or 'no extension'}: a picture is written as one of {', '.join(_FORMATS)}."
        )
    check_folder(path)


def check_folder(path: str | Path) -> None:
    """Raise RequestError if a file, of any kind, cannot be put at `path`."""
    path = Path(path)
    if path.is_dir():
        raise RequestError(f"{path} is a folder: give the name of a file to write.")
    if not path.parent.is_dir():
        raise RequestError(f"There is no folder {path.parent} to write {path.name} into: make it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()  # the only question that every file system answers truly
    except OSError as error:
        raise RequestError(
            f"Nothing can be written into {path.parent} ({error.strerror}): choose another folder."
        ) from error


def _chunks(text: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_itxt(key, value)
    return chunks
