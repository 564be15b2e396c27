"""The header of an AVIF file, of which Pillow does not tell the depth and the kind of light."""

import numpy as np
from jaxtyping import UInt16

_HEADER = 1 << 16  # bytes: the boxes of properties stand before the coded pictures


def bit_depth(data: bytes) -> int:
    """8, 10 or 12 (AV1 in ISOBMFF 1.2, 2.3.3: high_bitdepth and twelve_bit in the third byte of av1C)."""
    place = data.find(b"av1C", 0, _HEADER)
    flags = data[place + 6] if 0 <= place < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def stated_colours(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer by the numbers of ITU-T H.273 (ISO 14496-12, 12.1.5: an nclx colour box)."""
    place = data.find(b"colrnclx", 0, _HEADER)
    if place < 0:
        return None
    return int.from_bytes(data[place + 8 : place + 10], "big"), int.from_bytes(data[place + 10 : place + 12], "big")


def stretched(array: np.ndarray, bits: int) -> UInt16[np.ndarray, "..."]:
    """Values of 10 or 12 bits to 16, rounded: each to one of its own."""
    return np.rint(array * (65535 / (2**bits - 1))).astype(np.uint16)
