"""How far a picture is from the one it should be. All metrics take pixels "3 h w" in [-1, 1]."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from torch import Tensor

from fictile.errors import RequestError

SSIM_WINDOW = 11  # pixels along one side: a Gaussian of sigma 1.5 cut off at 3.5 sigma


@dataclass(frozen=True, kw_only=True)
class ColourShift:
    """How the colours of a whole picture moved."""

    delta_e: float  # mean CIEDE2000 difference; about 1 is the least that an eye sees side by side
    rgb: tuple[float, float, float]  # mean signed change of red, green and blue, in 8-bit steps; + is brighter


def psnr(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> float:
    """Peak signal-to-noise ratio in decibels: higher is closer, infinite for equal pictures.

    10 log10(peak^2 / mean squared error), over all pixels and channels, with the peak of the whole range.

    Raises:
        RequestError: The sizes differ.
    """
    before, after = _unit(reference, other)
    error = float(np.mean((before - after) ** 2))
    return -10 * math.log10(error) if error else math.inf


def ssim(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> float:
    """Structural similarity: 1 for equal pictures, about 0 for unrelated ones.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13, with the
    paper's Gaussian window and constants, as the mean over the colour channels.

    Raises:
        RequestError: The sizes differ, or a side is shorter than the window of 11 pixels.
    """
    before, after = _unit(reference, other)
    height, width, _ = before.shape
    if min(height, width) < SSIM_WINDOW:
        raise RequestError(
            f"A picture of {width}x{height} is too small to compare: give one of at least {SSIM_WINDOW}x{SSIM_WINDOW}."
        )
    similarity = structural_similarity(
        before, after, data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(np.asarray(similarity))


def colour_shift(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> ColourShift:
    """The mean colour difference as the eye sees it, and where red, green and blue went on average.

    CIEDE2000 as in Sharma, Wu and Dalal 2005; the pixels are taken as sRGB under D65.

    Raises:
        RequestError: The sizes differ.
    """
    before, after = _unit(reference, other)
    red, green, blue = 255 * np.mean(after - before, axis=(0, 1))
    return ColourShift(
        delta_e=float(np.mean(deltaE_ciede2000(rgb2lab(before), rgb2lab(after)))),
        rgb=(float(red), float(green), float(blue)),
    )


def _unit(
    reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]
) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "_ _ 3"]]:
    """Both as float64 in [0, 1] with the channels last, once they are known to be of one size."""
    if reference.shape != other.shape:
        (_, height, width), (_, other_height, other_width) = reference.shape, other.shape
        raise RequestError(
            f"A picture of {width}x{height} cannot be compared with one of {other_width}x{other_height}: "
            "give two of the same size."
        )
    before, after = ((pixels.detach().cpu().double().numpy() + 1) / 2 for pixels in (reference, other))
    return before.transpose(1, 2, 0), after.transpose(1, 2, 0)
