"""TIFF (revision 6.0), which Pillow neither reads nor writes in most of its depths."""

import io

import numpy as np
import tifffile

from fictile.picture.metadata import Metadata
from fictile.picture.samples import Samples
from fictile.picture.xmp import packet

_XMP, _ORIENTATION = 700, 274
_BYTE, _SHORT = 1, 3
_PHOTOMETRIC = {"grey": "minisblack", "rgb": "rgb", "cmyk": "separated"}


def tiff_bytes(samples: Samples, metadata: Metadata) -> bytes:
    """A TIFF of 8 or 16 bit, deflated with the horizontal predictor."""
    array = samples.array[..., 0] if samples.array.shape[2] == 1 else samples.array
    tags: list[tuple[int, int, int, object, bool]] = [(_ORIENTATION, _SHORT, 1, metadata.orientation, True)]
    xmp = packet(metadata.xmp, metadata.text)
    if xmp is not None:
        tags.append((_XMP, _BYTE, len(xmp), xmp, True))
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(array),
        photometric=_PHOTOMETRIC[samples.colours],
        planarconfig="contig" if array.ndim == 3 else None,
        extrasamples=["unassalpha"] if samples.alpha else None,
        compression="zlib",
        predictor=True,
        iccprofile=samples.profile,
        resolution=metadata.dpi,
        resolutionunit="inch" if metadata.dpi else None,
        software=False,
        metadata=None,
        extratags=tags,
    )
    return buffer.getvalue()
