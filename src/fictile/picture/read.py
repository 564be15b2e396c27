"""Files to pixels, and what their headers say."""

from dataclasses import dataclass
from pathlib import Path

from fictile.picture.decode import read_header
from fictile.picture.orientation import swaps_sides
from fictile.picture.picture import Picture
from fictile.picture.source import open_source


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """What a picture file says before its pixels are looked at."""

    format: str  # Pillow's name: "PNG", "JPEG", "WEBP", ...
    height: int  # upright, as `load_picture` gives it
    width: int
    text: dict[str, str]  # the text chunks of a PNG (tEXt, zTXt and iTXt alike); elsewhere what Fictile wrote into XMP


def load_picture(path: str | Path) -> Picture:
    """Read the first frame of a picture file as sRGB in [-1, 1], turned upright as its EXIF orientation says.

    All bits count, and colours go through the file's colour profile. Transparent pixels are composited over white, and
    `Picture.had_alpha` says so. Raises RequestError as `open_source` does.
    """
    return open_source(path).picture()


def read_picture_header(path: str | Path) -> PictureHeader:
    """Format, size and text of a picture file. Raises RequestError as `load_picture` does."""
    header = read_header(path)
    height, width = header.size
    if swaps_sides(header.metadata.orientation):
        height, width = width, height
    return PictureHeader(format=header.format, height=height, width=width, text=dict(header.metadata.text))


def read_text(path: str | Path) -> dict[str, str]:
    """The texts in a picture file, a recipe among them. Raises RequestError as `load_picture` does."""
    return read_picture_header(path).text
