"""Pixels to files."""

from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from PIL import Image, PngImagePlugin
from torch import Tensor

from fictile.errors import RequestError
from fictile.files import check_folder, written_whole
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
    with written_whole(path) as part:
        image.save(part, format=kind, **options)


def check_writable(path: str | Path) -> None:
    """Raise RequestError if a picture cannot be saved at `path`: call it before the work whose result goes there."""
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise RequestError(
            f"{path} ends in {path.suffix or 'no extension'}: a picture is written as one of {', '.join(_FORMATS)}."
        )
    check_folder(path)


def _chunks(text: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_itxt(key, value)
    return chunks
