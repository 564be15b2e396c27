"""Files to pixels."""

import struct
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from fictile.errors import RequestError
from fictile.picture.picture import Picture
from fictile.picture.pixels import from_uint8

# What Pillow raises for a damaged file: OSError where it is truncated, SyntaxError for broken PNG chunks, RuntimeError
# from its AVIF decoder, the others from parsers that run off the end of their data.
_DAMAGED = (OSError, SyntaxError, RuntimeError, ValueError, EOFError, IndexError, struct.error)


_ORIENTATION, _ON_ITS_SIDE = 0x0112, range(5, 9)  # the EXIF tag, and those of its values that swap the two sides


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """What a picture file says before its pixels are looked at."""

    format: str  # Pillow's name: "PNG", "JPEG", "WEBP", ...
    height: int  # upright, as `load_picture` gives it
    width: int
    text: dict[str, str]  # the text chunks of a PNG (tEXt, zTXt and iTXt alike); empty for every other format


def load_picture(path: str | Path) -> Picture:
    """Read the first frame of a picture file as RGB, turned upright as its EXIF orientation says.

    Grey of 16 bit is rounded to 8; of colours with 16 bit per channel Pillow only gives the upper 8, so that they are
    cut off instead. Transparent pixels are composited over white, and `Picture.had_alpha` says so.
    Raises RequestError for what is missing, no picture, damaged, or so large that it must be a decompression bomb.
    """
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        array, had_alpha = np.array(_rgb(upright, path)), upright.has_transparency_data
    return Picture(from_uint8(array), had_alpha)


def read_picture_header(path: str | Path) -> PictureHeader:
    """Format, size and text of a picture file. Raises RequestError as `load_picture` does."""
    with _opened(path) as image:
        text = image.text if isinstance(image, PngImagePlugin.PngImageFile) else {}
        on_its_side = image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
        width, height = reversed(image.size) if on_its_side else image.size
        return PictureHeader(
            format=image.format or "unknown",
            height=height,
            width=width,
            text={str(key): str(value) for key, value in text.items()},
        )


def read_text(path: str | Path) -> dict[str, str]:
    """The text chunks of a PNG; empty for every other format. Raises RequestError as `load_picture` does."""
    return read_picture_header(path).text


@contextmanager
def _opened(path: str | Path) -> Generator[Image.Image]:
    """A picture file opened by Pillow; whatever goes wrong inside the block becomes one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except FileNotFoundError as error:
        raise RequestError(f"There is no file {path}: give the path of a picture.") from error
    except IsADirectoryError as error:
        raise RequestError(f"{path} is a folder: give the path of one picture.") from error
    except PermissionError as error:
        raise RequestError(f"{path} may not be read: change its permissions or give another picture.") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise RequestError(f"{path} has more than {limit} million pixels: scale it down first.") from error
    except UnidentifiedImageError as error:
        raise RequestError(f"{path} is no picture of a known kind: give a PNG, JPEG or WebP.") from error
    except _DAMAGED as error:
        raise RequestError(f"{path} is a damaged picture ({error}): give another copy of it.") from error


def _rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """Any mode to 8-bit RGB, over white where it is transparent."""
    if image.mode in {"I", "F"}:
        raise RequestError(f"{path} has 32-bit values, which have no agreed white: convert it to 8 or 16 bit first.")
    if image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image).astype(np.float64) / 257).round()).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")
