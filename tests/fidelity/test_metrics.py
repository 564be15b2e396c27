"""Each metric against a second implementation that shares no code with it."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from coloraide import Color
from jaxtyping import Float
from pytorch_msssim import ms_ssim as other_ms_ssim  # pyright: ignore[reportUnknownVariableType] - it is untyped
from scipy.ndimage import correlate1d
from skimage.color import deltaE_ciede2000
from torch import Tensor

from fictile.errors import RequestError
from fictile.fidelity import colour, ms_ssim, psnr, ssim

# Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
# mathematical observations", table 1: one colour, the other, their difference. These pairs reach every branch.
SHARMA = [
    ((50.0000, 2.6772, -79.7751), (50.0000, 0.0000, -82.7485), 2.0425),
    ((50.0000, -1.3802, -84.2814), (50.0000, 0.0000, -82.7485), 1.0000),
    ((50.0000, 0.0000, 0.0000), (50.0000, -1.0000, 2.0000), 2.3669),
    ((50.0000, 2.4900, -0.0010), (50.0000, -2.4900, 0.0009), 7.1792),
    ((50.0000, 2.4900, -0.0010), (50.0000, -2.4900, 0.0011), 7.2195),
    ((50.0000, -0.0010, 2.4900), (50.0000, 0.0010, -2.4900), 4.8045),
    ((50.0000, -0.0010, 2.4900), (50.0000, 0.0011, -2.4900), 4.7461),
    ((50.0000, 2.5000, 0.0000), (50.0000, 0.0000, -2.5000), 4.3065),
    ((50.0000, 2.5000, 0.0000), (73.0000, 25.0000, -18.0000), 27.1492),
    ((50.0000, 2.5000, 0.0000), (61.0000, -5.0000, 29.0000), 22.8977),
    ((50.0000, 2.5000, 0.0000), (56.0000, -27.0000, -3.0000), 31.9030),
    ((50.0000, 2.5000, 0.0000), (58.0000, 24.0000, 15.0000), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


def noisy_pair(noise: float) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 h w"]]:
    """A smooth picture and the same with noise on it."""
    across, down = torch.linspace(0, 3, 40), torch.linspace(0, 2, 28)
    smooth = torch.sin(across[None, :] + down[:, None])
    before = torch.stack([smooth, smooth.flip(0), smooth.flip(1)]) * 0.7
    return before, before + noise * torch.randn(before.shape, generator=torch.Generator().manual_seed(0))


def gaussian_ssim(before: Float[np.ndarray, "3 h w"], after: Float[np.ndarray, "3 h w"]) -> float:
    """Wang et al. 2004, written out: pixels in [0, 1], an 11x11 Gaussian window, windows inside the picture only."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()

    def local_mean(values: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(values, taps, axis=1), taps, axis=2)[:, 5:-5, 5:-5]

    mean_before, mean_after = local_mean(before), local_mean(after)
    variance_before = local_mean(before**2) - mean_before**2
    variance_after = local_mean(after**2) - mean_after**2
    covariance = local_mean(before * after) - mean_before * mean_after
    luminance, structure = 0.01**2, 0.03**2
    similarity = (2 * mean_before * mean_after + luminance) * (2 * covariance + structure)
    return float(
        np.mean(
            similarity / ((mean_before**2 + mean_after**2 + luminance) * (variance_before + variance_after + structure))
        )
    )


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_psnr_is_the_definition(noise: float) -> None:
    before, after = noisy_pair(noise)
    eight_bit = [(pixels.double().numpy() + 1) * 127.5 for pixels in (before, after)]
    expected = 20 * math.log10(255 / math.sqrt(np.mean((eight_bit[0] - eight_bit[1]) ** 2)))
    assert psnr(before, after) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_ssim_is_the_paper(noise: float) -> None:
    before, after = noisy_pair(noise)
    unit = [(pixels.double().numpy() + 1) / 2 for pixels in (before, after)]
    assert ssim(before, after) == pytest.approx(gaussian_ssim(unit[0], unit[1]), abs=1e-9)


@pytest.mark.parametrize(("first", "second", "difference"), SHARMA)
def test_ciede2000_reproduces_the_published_pairs(
    first: tuple[float, float, float], second: tuple[float, float, float], difference: float
) -> None:
    assert float(deltaE_ciede2000(np.array(first), np.array(second))) == pytest.approx(difference, abs=5e-5)


def test_delta_e_from_srgb() -> None:
    """Two greys, a* = b* = 0, by hand: the sRGB curve (IEC 61966-2-1), L* of CIE 1976, then |dL| / S_L of CIEDE2000."""

    def lightness(value: float) -> float:
        return 116 * (((value + 0.055) / 1.055) ** 2.4) ** (1 / 3) - 16

    dark, light = lightness(0.5), lightness(0.6)
    middle = ((dark + light) / 2 - 50) ** 2
    expected = (light - dark) / (1 + 0.015 * middle / math.sqrt(20 + middle))
    shift = colour(torch.full((3, 4, 4), 0.0), torch.full((3, 4, 4), 0.2))
    assert shift.delta_e == pytest.approx(expected, abs=2e-3)
    assert shift.rgb == pytest.approx((25.5, 25.5, 25.5), abs=1e-4)


def test_rgb_shift_is_signed() -> None:
    before = torch.zeros(3, 5, 5)
    after = before + torch.tensor([0.2, 0.0, -0.4])[:, None, None]
    assert colour(before, after).rgb == pytest.approx((25.5, 0.0, -51.0), abs=1e-4)


def test_equal_pictures() -> None:
    before, _ = noisy_pair(0)
    assert psnr(before, before) == math.inf
    assert ssim(before, before) == pytest.approx(1)
    assert colour(before, before).delta_e == 0


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim, colour])
def test_sizes_must_agree(metric: Callable[[Tensor, Tensor], object]) -> None:
    with pytest.raises(RequestError, match=r"16x12 cannot be compared with one of 12x16"):
        metric(torch.zeros(3, 12, 16), torch.zeros(3, 16, 12))


def test_ssim_names_the_smallest_size() -> None:
    with pytest.raises(RequestError, match=r"10x12 is too small to compare: give one of at least 11x11"):
        ssim(torch.zeros(3, 12, 10), torch.zeros(3, 12, 10))


def test_ms_ssim_is_the_other_implementation() -> None:
    """Sides that halve four times without a remainder: with others the two leave out or pad different pixels."""
    rows = torch.linspace(-1, 1, 192)
    before = 0.6 * torch.stack(
        [torch.sin(9 * rows[:, None] * rows), rows[:, None].expand(192, 192), rows.expand(192, 192)]
    )
    for noise in (0.02, 0.3):
        after = before + noise * torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
        unit = [((pixels.double() + 1) / 2)[None] for pixels in (before, after)]
        assert ms_ssim(before, after) == pytest.approx(float(other_ms_ssim(*unit, data_range=1.0)), abs=1e-5)


def test_ms_ssim_of_odd_sides_and_of_opposites() -> None:
    picture = torch.rand(3, 201, 177) * 2 - 1
    assert ms_ssim(picture, picture) == pytest.approx(1)
    assert ms_ssim(picture, -picture) == 0
    with pytest.raises(RequestError, match="at least 176x176"):
        ms_ssim(picture[:, :, :175], picture[:, :, :175])


def test_colours_are_those_of_another_library() -> None:
    """ColorAide converts from sRGB to CIELAB, under D65, and measures CIEDE2000 on its own."""
    before = torch.rand(3, 6, 7, generator=torch.Generator().manual_seed(2)) * 2 - 1
    after = (0.8 * before + 0.15 * torch.randn(before.shape, generator=torch.Generator().manual_seed(3))).clamp(-1, 1)
    first, second = (
        [Color("srgb", ((pixel + 1) / 2).tolist()).convert("lab-d65") for pixel in pixels.flatten(1).double().T]
        for pixels in (before, after)
    )
    differences = [one.delta_e(other, method="2000", space="lab-d65") for one, other in zip(first, second, strict=True)]
    found = colour(before, after)
    assert found.delta_e == pytest.approx(np.mean(differences), abs=2e-3)
    assert found.delta_e_95 == pytest.approx(np.percentile(differences, 95), abs=5e-3)
    light, chroma = (
        [np.array(values) for values in zip(*((c["l"], math.hypot(c["a"], c["b"])) for c in colours), strict=True)]
        for colours in (first, second)
    )
    assert found.contrast == pytest.approx(chroma[0].std() / light[0].std(), rel=1e-3)
    assert found.saturation == pytest.approx(chroma[1].mean() / light[1].mean(), rel=1e-3)


def test_a_flat_grey_picture_has_no_contrast_and_no_saturation_to_keep() -> None:
    found = colour(torch.zeros(3, 12, 12), torch.zeros(3, 12, 12) + 0.1)
    assert (found.contrast, found.saturation) == (None, None)
