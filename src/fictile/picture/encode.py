"""Samples and metadata to files."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fictile.errors import RequestError
from fictile.files import check_folder, written_whole
from fictile.picture import colour
from fictile.picture.metadata import Metadata
from fictile.picture.png import png_bytes
from fictile.picture.samples import Colours, Samples
from fictile.picture.tiff import tiff_bytes
from fictile.picture.xmp import XMP_LIMIT_JPEG, packet


@dataclass(frozen=True, kw_only=True)
class _Format:
    """What a format holds, and how it is written."""

    name: str
    write: Callable[[Samples, Metadata], bytes]
    colours: frozenset[Colours]
    alpha: bool = True
    bits: int = 8
    side: int = 2**31 - 1  # the longest side
    lossless: bool = True
    write_quickly: Callable[[Samples, Metadata], bytes] | None = None  # a larger file, sooner


def encode(samples: Samples, metadata: Metadata, path: str | Path, *, quick: bool = False) -> None:
    """Write a file in the format that the extension of `path` names, whole or not at all; `quick` takes less time and
    more of the disk where the format has that choice.

    Raises RequestError where `check_writable` does, and for sides or text that the format cannot hold.
    """
    path = Path(path)
    chosen = _chosen(samples, path)
    write = (quick and chosen.write_quickly) or chosen.write
    data = write(_reduced(samples, chosen)[0], metadata)
    with written_whole(path) as part:
        part.write_bytes(data)


def check_writable(path: str | Path) -> None:
    """Raise RequestError if a picture cannot be saved at `path`: call it before the work whose result goes there."""
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise RequestError(
            f"{path} ends in {path.suffix or 'no extension'}: a picture is written as one of {', '.join(_FORMATS)}."
        )
    check_folder(path)


def losses(samples: Samples, metadata: Metadata, path: str | Path) -> tuple[str, ...]:
    """What a file at `path` cannot keep, a sentence each. Raises RequestError as `encode` does."""
    chosen = _chosen(samples, Path(path))
    told = list(_reduced(samples, chosen)[1])
    if not chosen.lossless:
        told.append(f"{chosen.name} is lossy: that untouched pixels are the same ends at its encoder.")
    return tuple(told)


def _chosen(samples: Samples, path: Path) -> _Format:
    check_writable(path)
    chosen = _FORMATS[path.suffix.lower()]
    height, width, _ = samples.array.shape
    if max(height, width) > chosen.side:
        raise RequestError(f"{path} would be {width}x{height}, and {chosen.name} ends at {chosen.side}: save a PNG.")
    return chosen


def _reduced(samples: Samples, chosen: _Format) -> tuple[Samples, tuple[str, ...]]:
    """The samples as the format can hold them, and what was done to them."""
    told: list[str] = []
    if samples.colours not in chosen.colours:
        grey = samples.colours == "grey"
        if grey and samples.profile is None:
            array = np.concatenate([samples.array[..., :1].repeat(3, axis=2), samples.array[..., 1:]], axis=2)
        else:
            rgb = colour.quantised(colour.to_srgb(samples).clip(0, 1), samples.array.dtype)
            array = np.concatenate([rgb, samples.array[..., -1:]], axis=2) if samples.alpha else rgb
            told.append(f"{chosen.name} holds no {'grey' if grey else 'CMYK'}: the colours are converted to sRGB.")
        samples = Samples(array=array, colours="rgb", alpha=samples.alpha)
    if samples.alpha and not chosen.alpha:
        samples = _flattened(samples)
        told.append(f"{chosen.name} holds no transparency: the picture is laid on white.")
    if samples.bits > chosen.bits:
        array = np.rint(samples.array / 257).astype(np.uint8)
        samples = replace(samples, array=array)
        told.append(f"{chosen.name} holds {chosen.bits} bits here: the 16 of the picture are rounded.")
    return samples, tuple(told)


def _flattened(samples: Samples) -> Samples:
    """Over white, in the samples' own colours."""
    white = colour.from_srgb(np.ones((1, 1, 3), np.float32), samples)
    inks, opacity = colour.colours(samples) / np.float32(samples.top), colour.alpha(samples)
    array = colour.quantised(inks * opacity + white * (1 - opacity), samples.array.dtype)
    return replace(samples, array=array, alpha=False)


def _pillow_bytes(samples: Samples, metadata: Metadata, *, kind: str, **options: object) -> bytes:
    height, width, _ = samples.array.shape
    image = Image.frombytes(_MODES[samples.colours, samples.alpha], (width, height), samples.array.tobytes())
    xmp = packet(metadata.xmp, metadata.text)
    if kind == "JPEG" and xmp is not None and len(xmp) > XMP_LIMIT_JPEG:
        raise RequestError(
            f"The texts to write are {len(xmp)} bytes and JPEG holds {XMP_LIMIT_JPEG}: save a PNG, or strip them."
        )
    exif = metadata.exif_block()
    given = {
        "icc_profile": samples.profile,
        "xmp": xmp,
        "dpi": metadata.dpi,
        "exif": b"Exif\0\0" + exif if exif else None,
    }
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options, **{key: value for key, value in given.items() if value is not None})
    return buffer.getvalue()


_MODES = {
    ("grey", False): "L",
    ("rgb", False): "RGB",
    ("rgb", True): "RGBA",
    ("cmyk", False): "CMYK",
}  # Pillow's
_ALL: frozenset[Colours] = frozenset({"grey", "rgb", "cmyk"})
_RGB: frozenset[Colours] = frozenset({"rgb"})
_PNG = _Format(
    name="PNG",
    write=png_bytes,
    colours=frozenset({"grey", "rgb"}),
    bits=16,
    write_quickly=partial(png_bytes, level=1),  # a fifth of the time, a fifth larger
)
_TIFF = _Format(name="TIFF", write=tiff_bytes, colours=_ALL, bits=16)
_JPEG = _Format(
    name="JPEG",
    write=partial(_pillow_bytes, kind="JPEG", quality=95, subsampling=0),
    colours=_ALL,
    alpha=False,
    side=65_500,  # libjpeg's JPEG_MAX_DIMENSION
    lossless=False,
)
_WEBP = _Format(
    name="WebP",
    write=partial(_pillow_bytes, kind="WEBP", lossless=True, exact=True),  # exact: colours under alpha 0 are kept
    colours=_RGB,
    side=16_383,  # RFC 9649, 2.5: 14 bits
)
_AVIF = _Format(
    name="AVIF",
    write=partial(_pillow_bytes, kind="AVIF", quality=90, subsampling="4:4:4"),
    colours=_RGB,
    side=65_536,  # AV1, 5.5.1: 16 bits
    lossless=False,
)
_FORMATS: Mapping[str, _Format] = {
    ".png": _PNG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _WEBP,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".avif": _AVIF,
}
