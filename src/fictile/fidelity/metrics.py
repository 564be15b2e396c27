"""How far a picture is from the one it should be. All metrics take pixels "3 h w" in [-1, 1]."""

import math

import numpy as np
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor

from fictile.errors import RequestError

SSIM_WINDOW = 11  # pixels along one side: a Gaussian of sigma 1.5 cut off at 3.5 sigma
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003, finest scale first
MS_SSIM_SIDE = SSIM_WINDOW << (len(MS_SSIM_WEIGHTS) - 1)  # pixels: below it the coarsest scale has no whole window
_NO_LUMINANCE = 1e6  # as K1 it makes SSIM's luminance term 1, and what is left is contrast times structure

Unit = Float[np.ndarray, "h w 3"]


def psnr(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> float:
    """Peak signal-to-noise ratio in decibels: higher is closer, infinite for equal pictures.

    10 log10(peak^2 / mean squared error), over all pixels and channels, with the peak of the whole range.

    Raises:
        RequestError: The sizes differ.
    """
    before, after = unit_pair(reference, other)
    error = float(np.mean((before - after) ** 2))
    return -10 * math.log10(error) if error else math.inf


def ssim(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> float:
    """Structural similarity: 1 for equal pictures, about 0 for unrelated ones.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13, with the
    paper's Gaussian window and constants, as the mean over the colour channels.

    Raises:
        RequestError: The sizes differ, or a side is shorter than the window of 11 pixels.
    """
    before, after = unit_pair(reference, other)
    check_side(before, SSIM_WINDOW)
    return _similarity(before, after)


def ms_ssim(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> float:
    """Structural similarity at five scales, each half the one before: nearer to what an eye at a distance says.

    Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment", equation 7, as the
    mean over the colour channels. Where contrast and structure are opposed (below 0) they count as 0.

    Raises:
        RequestError: The sizes differ, or a side is shorter than 176 pixels.
    """
    before, after = unit_pair(reference, other)
    check_side(before, MS_SSIM_SIDE)
    product = np.ones(3)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        terms = [
            _similarity(before[..., [channel]], after[..., [channel]], luminance=last)
            for channel in range(len(product))
        ]
        product *= np.maximum(terms, 0) ** weight
        before, after = _halved(before), _halved(after)
    return float(product.mean())


def unit_pair(reference: Float[Tensor, "3 h w"], other: Float[Tensor, "3 _ _"]) -> tuple[Unit, Unit]:
    """Both as float64 in [0, 1] with the channels last.

    Raises:
        RequestError: The sizes differ.
    """
    if reference.shape != other.shape:
        (_, height, width), (_, other_height, other_width) = reference.shape, other.shape
        raise RequestError(
            f"A picture of {width}x{height} cannot be compared with one of {other_width}x{other_height}: "
            "give two of the same size."
        )
    before, after = ((pixels.detach().cpu().double().numpy() + 1) / 2 for pixels in (reference, other))
    return before.transpose(1, 2, 0), after.transpose(1, 2, 0)


def check_side(picture: Unit, least: int) -> None:
    """Raises RequestError when a side is shorter than `least` pixels."""
    height, width, _ = picture.shape
    if min(height, width) < least:
        raise RequestError(
            f"A picture of {width}x{height} is too small to compare: give one of at least {least}x{least}."
        )


def _similarity(
    before: Float[np.ndarray, "h w c"], after: Float[np.ndarray, "h w c"], *, luminance: bool = True
) -> float:
    similarity = structural_similarity(
        before,
        after,
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        K1=0.01 if luminance else _NO_LUMINANCE,
    )
    return float(np.asarray(similarity))


def _halved(picture: Unit) -> Float[np.ndarray, "_ _ 3"]:
    """Half the size, each pixel the mean of four; an odd last row or column is left out."""
    height, width, channels = picture.shape
    even = picture[: height // 2 * 2, : width // 2 * 2]
    return even.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))
