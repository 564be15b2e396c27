"""Pixels to files."""

from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from fictile.picture.encode import check_writable, encode
from fictile.picture.metadata import Metadata
from fictile.picture.pixels import to_uint8
from fictile.picture.samples import Samples


def save_picture(
    pixels: Float[Tensor, "3 h w"], path: str | Path, text: Mapping[str, str] | None = None, *, quick: bool = False
) -> None:
    """Write pixels in [-1, 1], rounded to 8 bit, in the format that the extension of `path` names.

    `text` goes along: as iTXt chunks of a PNG, in the XMP of every other format. The file appears whole or not at all:
    it is written under a temporary name in the same folder and then renamed. `quick` makes a larger PNG, sooner.
    Raises RequestError where `check_writable` does, FictileError for pixels that are not finite.
    """
    check_writable(path)
    encode(Samples(array=to_uint8(pixels), colours="rgb"), Metadata(text=text or {}), path, quick=quick)
