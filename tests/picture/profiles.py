"""Colour profiles for tests: of matrices from imagecodecs, of tables put together here (ICC.1:2022)."""

import struct
from collections.abc import Callable

import imagecodecs
import numpy as np

ADOBE = bytes(imagecodecs.cms_profile("adobergb"))
WIDE = bytes(  # ITU-R BT.2020's primaries, with a gamma of 2.4
    imagecodecs.cms_profile(
        "rgb",
        whitepoint=[0.3127, 0.3290, 1.0],
        primaries=[0.708, 0.292, 1.0, 0.170, 0.797, 1.0, 0.131, 0.046, 1.0],
        gamma=2.4,
    )
)
GREY = bytes(imagecodecs.cms_profile("gray", whitepoint=[0.3457, 0.3585, 1.0], gamma=1.8))
SRGB = bytes(imagecodecs.cms_profile("srgb"))

Table = Callable[[np.ndarray], np.ndarray]


def cmyk() -> bytes:
    """Ink as the simplest model has it: what is left of white after each ink, and after black."""
    return _profile(b"prtr", b"CMYK", {b"A2B0": _lut(4, 3, 9, _ink_to_lab), b"B2A0": _lut(3, 4, 17, _lab_to_ink)})


def scanner() -> bytes:
    """RGB to Lab by a table, and no way back."""
    return _profile(b"scnr", b"RGB ", {b"A2B0": _lut(3, 3, 9, _grey_to_lab)})


def with_pq(profile: bytes) -> bytes:
    """The same profile with a cicp tag that says its light is PQ."""
    count = int.from_bytes(profile[128:132], "big")
    tags = [struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count)]
    body = {name: profile[place : place + size] for name, place, size in tags}
    return _assembled(profile[:128], body | {b"cicp": b"cicp\0\0\0\0" + bytes([9, 16, 0, 1])})


def _grey_to_lab(rgb: np.ndarray) -> np.ndarray:
    return np.stack([rgb.mean(axis=-1), np.full(rgb.shape[:-1], 0.5), np.full(rgb.shape[:-1], 0.5)], axis=-1)


def _ink_to_lab(ink: np.ndarray) -> np.ndarray:
    rgb = (1 - ink[..., :3]) * (1 - ink[..., 3:])
    lightness = rgb @ np.array([0.25, 0.65, 0.1])
    return np.stack(
        [lightness, 0.5 + (rgb[..., 0] - rgb[..., 1]) * 0.3, 0.5 + (rgb[..., 1] - rgb[..., 2]) * 0.3], axis=-1
    )


def _lab_to_ink(lab: np.ndarray) -> np.ndarray:
    first, second = (lab[..., 1] - 0.5) / 0.3, (lab[..., 2] - 0.5) / 0.3
    green = lab[..., 0] - 0.25 * first + 0.1 * second
    rgb = np.stack([green + first, green, green - second], axis=-1).clip(0, 1)
    black = 1 - rgb.max(axis=-1, keepdims=True)
    ink = np.divide(1 - black - rgb, 1 - black, out=np.zeros_like(rgb), where=black < 1)
    return np.concatenate([ink, black], axis=-1)


def _lut(inputs: int, outputs: int, grid: int, table: Table) -> bytes:
    """A lut16Type (10.10) that samples a function from [0, 1] to [0, 1]; the ends of its curves are straight."""
    points = np.stack(np.meshgrid(*[np.linspace(0, 1, grid)] * inputs, indexing="ij"), axis=-1)
    straight = struct.pack(">2H", 0, 65535)
    values = np.rint(table(points).clip(0, 1) * 65280 if outputs == 3 else table(points).clip(0, 1) * 65535)
    matrix = struct.pack(">9i", *(65536 * (index % 4 == 0) for index in range(9)))
    head = b"mft2\0\0\0\0" + bytes([inputs, outputs, grid, 0]) + matrix + struct.pack(">2H", 2, 2)
    return head + straight * inputs + values.astype(">u2").tobytes() + straight * outputs


def _profile(kind: bytes, space: bytes, tags: dict[bytes, bytes]) -> bytes:
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in (0.9642, 1.0, 0.8249)))
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    rights = b"text\0\0\0\0none\0"
    header = bytearray(128)
    struct.pack_into(">4xI4s4s4s", header, 4, 0x02400000, kind, space, b"Lab ")
    header[36:40] = b"acsp"
    header[68:80] = white[8:]
    return _assembled(bytes(header), {b"desc": name, b"cprt": rights, b"wtpt": white, **tags})


def _assembled(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, place = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    return struct.pack(">I", place + len(body)) + header[4:] + table + body
