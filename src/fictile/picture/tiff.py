"""TIFF (revision 6.0), which Pillow neither reads nor writes in most of its depths."""

import io
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from fictile.errors import RequestError
from fictile.picture.exif import Block, Order
from fictile.picture.metadata import Metadata
from fictile.picture.orientation import TAG, known
from fictile.picture.samples import CHANNELS, Colours, Samples
from fictile.picture.xmp import packet, split

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two are BigTIFF
_XMP, _ICC = 700, 34675
_BYTE, _SHORT = 1, 3
_WORD = 16  # bytes that what follows is aligned to
_PHOTOMETRIC = {"grey": "minisblack", "rgb": "rgb", "cmyk": "separated"}
_WHITE_IS_ZERO = 0
_COLOURS: dict[int, Colours] = {_WHITE_IS_ZERO: "grey", 1: "grey", 2: "rgb", 5: "cmyk"}  # PhotometricInterpretation
_ASSOCIATED, _UNASSOCIATED = 1, 2  # ExtraSamples
_DOTS_PER = {2: 1.0, 3: 2.54}  # ResolutionUnit: inch, centimetre

# What of EXIF is about the picture and not about the file: description, maker, model, software, date, artist, computer,
# rating, copyright, the words of Windows (from 40091), and the directories of EXIF and of the place.
_DIRECTORIES = {34665: 65000, 34853: 65001}  # with stand-ins, since tifffile writes none
_EXIF = {270, 271, 272, TAG, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096), *_DIRECTORIES}

# What tifffile runs into where a file is damaged, beside errors of its own, which are ValueErrors.
_DAMAGED = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, RuntimeError, struct.error)


def is_tiff(path: str | Path) -> bool:
    """By its first bytes. Raises OSError where the file cannot be read."""
    with Path(path).open("rb") as file:
        return file.read(4) in _MAGIC


@contextmanager
def opened(path: str | Path) -> Generator[tifffile.TiffFile]:
    """A file whose first page has a size. Raises ValueError for a damaged one, DecompressionBombError for a bomb."""
    try:
        with tifffile.TiffFile(path) as file:
            height, width = size(file)
            if min(height, width) < 1:
                raise ValueError("it has no size")
            if height * width > (Image.MAX_IMAGE_PIXELS or height * width):
                raise Image.DecompressionBombError
            yield file
    except _DAMAGED as error:
        raise ValueError(str(error)) from error


def size(file: tifffile.TiffFile) -> tuple[int, int]:
    """Height and width, as stored."""
    page = file.pages.first
    return int(page.imagelength), int(page.imagewidth)


def read_metadata(file: tifffile.TiffFile) -> Metadata:
    """What the first page says."""
    tags = file.pages.first.tags
    raw = tags.valueof(_XMP)
    xmp, text = split(bytes(raw) if raw is not None else None)
    return Metadata(
        orientation=known(int(tags.valueof(TAG, default=1))), exif=_exif(file), xmp=xmp, text=text, dpi=_dpi(tags)
    )


def read_samples(path: str | Path) -> Samples | None:
    """The first page, if it is grey, RGB or CMYK of 8 or 16 bits; None for others of up to 8 bits, which Pillow reads.

    Alpha that was multiplied into the colours is divided out again, and white is made the largest value.
    Raises RequestError for values that have no agreed white, ValueError for a damaged file.
    """
    with opened(path) as file:
        page = file.pages.first
        if int(page.bitspersample) > 16 or page.sampleformat not in {1, 4}:  # unsigned, or not said
            raise RequestError(
                f"{path} has {page.bitspersample}-bit values of a high dynamic range, which have no agreed white: "
                "convert it to 8 or 16 bit first."
            )
        colours = _COLOURS.get(int(page.photometric))
        if colours is None or page.dtype not in {np.dtype("uint8"), np.dtype("uint16")} or page.bitspersample % 8:
            if int(page.bitspersample) > 8:
                raise RequestError(f"{path} is a TIFF of a rare kind: convert it to RGB of 8 or 16 bit first.")
            return None
        array = page.asarray()
        if int(page.planarconfig) == 2 and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        array = array.reshape(*size(file), -1)
        extra = tuple(int(kind) for kind in page.extrasamples)
        inks = CHANNELS[colours]
        alpha = bool(extra) and extra[0] in {_ASSOCIATED, _UNASSOCIATED}
        if array.shape[2] < inks + alpha:
            raise ValueError(f"it has {array.shape[2]} channels")
        array = np.ascontiguousarray(array[..., : inks + alpha]).astype(array.dtype.newbyteorder("="))
        if int(page.photometric) == _WHITE_IS_ZERO:
            array[..., 0] = np.iinfo(array.dtype).max - array[..., 0]
        if alpha and extra[0] == _ASSOCIATED:
            array = _divided(array)
        profile = page.tags.valueof(_ICC)
        return Samples(array=array, colours=colours, alpha=alpha, profile=bytes(profile) if profile else None)


def tiff_bytes(samples: Samples, metadata: Metadata) -> bytes:
    """A TIFF of 8 or 16 bit, deflated with the horizontal predictor.

    Both being TIFF structures, an EXIF block takes the beginning of the file: all in it stays at its offset, and the
    directory of the picture points there.
    """
    array = samples.array[..., 0] if samples.array.shape[2] == 1 else samples.array
    tags: list[tuple[int, int, int, object, bool]] = [(TAG, _SHORT, 1, metadata.orientation, True)]
    xmp = packet(metadata.xmp, metadata.text)
    if xmp is not None:
        tags.append((_XMP, _BYTE, len(xmp), xmp, True))
    exif = _readable(metadata.exif)
    order: Order = exif.order if exif else "<"
    for entry in exif.entries() if exif else ():
        if entry.tag in _EXIF - {TAG}:
            tags.append((_DIRECTORIES.get(entry.tag, entry.tag), *entry[1:], True))
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order) as file:
        if exif:
            buffer.seek(0, io.SEEK_END)
            buffer.write(exif.data[buffer.tell() :] + bytes(-len(exif.data) % _WORD))
        file.write(
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
    return _with_directories(buffer.getvalue(), order)


def _readable(exif: bytes | None) -> Block | None:
    try:
        return Block(exif) if exif else None
    except ValueError:
        return None


def _with_directories(data: bytes, order: Order) -> bytes:
    """The stand-ins under their own tags, and the entries in the order of tags again (TIFF 6.0, section 2)."""
    file = bytearray(data)
    first = struct.unpack_from(f"{order}I", file, 4)[0] + 2
    last = first + 12 * struct.unpack_from(f"{order}H", file, first - 2)[0]
    own = {stand_in: tag for tag, stand_in in _DIRECTORIES.items()}
    entries: list[tuple[int, bytes]] = []
    for place in range(first, last, 12):
        stored = int(struct.unpack_from(f"{order}H", file, place)[0])
        tag = own.get(stored, stored)
        entries.append((tag, struct.pack(f"{order}H", tag) + file[place + 2 : place + 12]))
    file[first:last] = b"".join(entry for _, entry in sorted(entries))
    return bytes(file)


def _divided(array: np.ndarray) -> np.ndarray:
    """Colours that alpha was multiplied into, divided by it (TIFF 6.0, section 18)."""
    top = np.iinfo(array.dtype).max
    alpha = array[..., -1:].astype(np.float64)
    colours = np.divide(array[..., :-1] * float(top), alpha, out=np.zeros(array[..., :-1].shape), where=alpha > 0)
    return np.concatenate([np.rint(colours.clip(0, top)).astype(array.dtype), array[..., -1:]], axis=2)


def _exif(file: tifffile.TiffFile) -> bytes | None:
    """As a block of its own, where Pillow can read it."""
    exif = Image.Exif()
    exif.endian, exif.bigtiff = file.byteorder, file.is_bigtiff
    try:
        with Path(file.filehandle.path).open("rb") as stream:
            exif.load_from_fp(stream, file.pages.first.offset)
            exif.bigtiff = False  # which the block is never
            for tag in set(exif) - _EXIF:
                del exif[tag]
            return exif.tobytes().removeprefix(b"Exif\0\0") if set(exif) - {TAG} else None
    except (SyntaxError, ValueError, OSError, *_DAMAGED):
        return None


def _dpi(tags: Any) -> tuple[float, float] | None:
    factor = _DOTS_PER.get(int(tags.valueof(296, default=2)))
    sides = [tags.valueof(tag) for tag in (282, 283)]
    if factor is None or not all(isinstance(side, tuple) and len(side) == 2 and all(side) for side in sides):
        return None
    across, down = (numerator / denominator * factor for numerator, denominator in sides)
    return across, down
