"""The samples of a picture, exactly as its file stores them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8, UInt16

Array = UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]
Colours = Literal["grey", "rgb", "cmyk"]

CHANNELS: dict[Colours, int] = {"grey": 1, "rgb": 3, "cmyk": 4}  # without alpha


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a file holds for each pixel, in the order and the depth in which it holds it. Not turned upright."""

    array: Array  # colours, then alpha where there is one; of CMYK 0 is no ink
    colours: Colours
    alpha: bool = False  # not multiplied into the colours
    profile: bytes | None = None  # ICC; without one grey and RGB are sRGB, and the colours of CMYK are unknown

    @property
    def top(self) -> int:
        """The largest value a sample can have: 255 or 65535."""
        return int(np.iinfo(self.array.dtype).max)

    @property
    def bits(self) -> int:
        return self.array.dtype.itemsize * 8


def check_size(samples: Samples) -> None:
    """Raise ValueError where the channels are not those that the colours need, as in a damaged file."""
    if samples.array.shape[2] != CHANNELS[samples.colours] + samples.alpha:
        raise ValueError(f"it has {samples.array.shape[2]} channels")
