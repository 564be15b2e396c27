"""Pixels as the networks see them, and as files keep them."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fictile.errors import FictileError


def from_uint8(array: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
    """0..255 to float32 in [-1, 1]; `to_uint8` gives back the same bytes."""
    return torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1).contiguous() / 127.5 - 1


def to_uint8(pixels: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """[-1, 1] to the nearest of 0..255: rounded, never truncated; what lies outside is clipped.

    Raises FictileError for pixels that are not finite: they are a failure of the run, not a colour.
    """
    if not pixels.isfinite().all():
        raise FictileError(
            "The picture has pixels that are not finite numbers, which happens when a network overflows: "
            "run again with precision float32."
        )
    levels = ((pixels.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
