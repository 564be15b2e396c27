"""What became of details, sorted by their size: fine texture, edges, large shapes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.fft import dctn
from torch import Tensor

from fictile.fidelity.metrics import unit_pair

BANDS = ((2, 4), (4, 8), (8, 16), (16, 32))  # pixels from crest to crest; 2 is the finest that a picture holds
LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709: the weights of red, green and blue in what the eye takes as sharpness
NOTHING = 1 / 12 / 255**2  # the mean square that rounding to 8 bits leaves in each coefficient


@dataclass(frozen=True, kw_only=True)
class Band:
    """Details of one size: how much of them came back, and how much there is now."""

    finest: int  # pixels from crest to crest
    coarsest: int
    kept: float | None  # of the picture's own details, in their place: 1 is all; None where it has none of this size
    present: float | None  # details after over before, wherever they are and whether real or invented


def detail(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> tuple[Band, ...]:
    """The details of both pictures compared, for each of four sizes, finest first.

    The luma of both is taken to cosines (a DCT-II, orthonormal: it mirrors at the edges, so that they add nothing of
    their own). With b and a the coefficients before and after of one band, `kept` is sum(a b) / sum(b^2), the least
    squares estimate of the factor that b was multiplied by, and `present` is sqrt(sum(a^2) / sum(b^2)).

    Raises:
        RequestError: The sizes differ.
    """
    before, after = (np.asarray(dctn(picture @ LUMA, norm="ortho")) for picture in unit_pair(reference, other))
    frequency = _frequencies(before.shape)
    bands: list[Band] = []
    for finest, coarsest in BANDS:
        inside = frequency > 1 / coarsest
        if finest > BANDS[0][0]:
            inside &= frequency <= 1 / finest
        b, a = before[inside], after[inside]
        energy = float(b @ b)
        there = energy > NOTHING * b.size
        bands.append(
            Band(
                finest=finest,
                coarsest=coarsest,
                kept=float(a @ b) / energy if there else None,
                present=float(np.sqrt(a @ a / energy)) if there else None,
            )
        )
    return tuple(bands)


def _frequencies(shape: tuple[int, ...]) -> Float[np.ndarray, "h w"]:
    """Of each coefficient, in cycles per pixel: the k-th of n cosines has k half waves over n pixels."""
    down, across = (np.arange(n) / (2 * n) for n in shape)
    return np.hypot(down[:, None], across[None, :])
