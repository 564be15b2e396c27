"""The chunks of a PNG (third edition, https://www.w3.org/TR/png-3/) around its pixels."""

import struct
import zlib
from collections.abc import Iterator
from itertools import chain

import imagecodecs
import numpy as np

from fictile.picture.metadata import Metadata
from fictile.picture.samples import Samples

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY = "XML:com.adobe.xmp"

_SRGB_GAMMA = 0.45455  # what files say that mean sRGB (11.3.2.5)
_SRGB_CORNERS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue


def png_bytes(samples: Samples, metadata: Metadata, *, level: int | None = None) -> bytes:
    """A PNG of 8 or 16 bit, grey or RGB, with or without alpha; `level` of zlib's compression, 1 to 9."""
    array = samples.array[..., 0] if samples.array.shape[2] == 1 else samples.array
    pixels = imagecodecs.png_encode(np.ascontiguousarray(array), level=level)
    header, *rest = _chunks(pixels)
    return SIGNATURE + b"".join(
        _chunk(kind, content) for kind, content in (header, *_ancillary(samples.profile, metadata), *rest)
    )


def bit_depth(data: bytes) -> int:
    """Bits per sample, from the first bytes of a PNG (11.2.1: the ninth byte of IHDR)."""
    return data[24]


def stated_colours(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer by the numbers of ITU-T H.273 (11.3.2.6: the first two bytes of cICP)."""
    for kind, content in _chunks(data):
        if kind == b"cICP" and len(content) == 4:
            return content[0], content[1]
        if kind == b"IDAT":
            break
    return None


def profile_of(gamma: float | None, chromaticity: tuple[float, ...] | None, *, grey: bool) -> bytes | None:
    """The ICC profile that gAMA and cHRM (11.3.2.1, 11.3.2.2) describe; None where that is as good as sRGB."""
    if not gamma or abs(gamma - _SRGB_GAMMA) < 0.01:
        return None
    corners = (chromaticity or _SRGB_CORNERS)[:8]
    white, *primaries = ((x, y, 1.0) for x, y in zip(corners[::2], corners[1::2], strict=True))
    if grey:
        return bytes(imagecodecs.cms_profile("gray", whitepoint=white, gamma=1 / gamma))
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=white, primaries=list(chain(*primaries)), gamma=1 / gamma))


def _ancillary(profile: bytes | None, metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """What stands between the header and the pixels, in the order that 5.6 asks for."""
    if profile is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    if metadata.dpi is not None:
        yield b"pHYs", struct.pack(">IIB", *(round(dots / 0.0254) for dots in metadata.dpi), 1)
    if exif := metadata.exif_block():
        yield b"eXIf", exif
    if metadata.xmp is not None:
        yield b"iTXt", _text(XMP_KEY, metadata.xmp)
    for key, value in metadata.text.items():
        yield b"iTXt", _text(key, value.encode())


def _text(key: str, value: bytes) -> bytes:
    return key.encode("latin-1") + b"\0\0\0\0\0" + value  # not compressed, no language, no translated key


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(data: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield kind, bytes(data[place + 8 : place + 8 + length])
        place += 12 + length
