"""Details by their size: against cosines written out, and on patterns whose answer is known."""

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from fictile.fidelity import detail

LUMA = torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)


def cosines(n: int) -> Float[Tensor, "n n"]:
    """The orthonormal DCT-II as a matrix (Ahmed, Natarajan and Rao 1974)."""
    k, x = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None]
    matrix = torch.cos(torch.pi * k * (2 * x + 1) / (2 * n)) * (2 / n) ** 0.5
    matrix[0] /= 2**0.5
    return matrix


def grating(period: float, size: int = 64, contrast: float = 0.5) -> Float[Tensor, "3 h w"]:
    """Stripes of so many pixels from crest to crest."""
    across = torch.cos(2 * torch.pi * (torch.arange(size) + 0.5) / period)
    return contrast * across.expand(3, size, size).contiguous()


def test_the_bands_are_those_of_a_transform_written_out() -> None:
    before = torch.rand(3, 37, 52) * 2 - 1
    after = 0.7 * before + 0.1 * torch.randn(before.shape)
    b, a = (
        cosines(37) @ ((pixels.double() + 1) / 2).permute(1, 2, 0).matmul(LUMA) @ cosines(52).T
        for pixels in (before, after)
    )
    frequency = torch.hypot(torch.arange(37.0)[:, None] / 74, torch.arange(52.0)[None] / 104)
    edges = {2: (1 / 4, 9.0), 4: (1 / 8, 1 / 4), 8: (1 / 16, 1 / 8), 16: (1 / 32, 1 / 16)}
    for band in detail(before, after):
        low, high = edges[band.finest]
        inside = (frequency > low) & (frequency <= high)
        assert band.kept == pytest.approx(float((a * b)[inside].sum() / (b * b)[inside].sum()), abs=1e-6)
        assert band.present == pytest.approx(float(((a * a)[inside].sum() / (b * b)[inside].sum()).sqrt()), abs=1e-6)


@pytest.mark.parametrize(("period", "place"), [(3.2, 0), (6.4, 1), (12.8, 2), (25.6, 3)])
def test_stripes_are_found_in_the_band_of_their_size(period: float, place: int) -> None:
    """Halved they keep a half, and where there are none of a size there is nothing to keep."""
    bands = detail(grating(period), grating(period, contrast=0.25))
    assert bands[place].kept == pytest.approx(0.5, abs=1e-4)
    assert bands[place].present == pytest.approx(0.5, abs=1e-4)
    assert all(band.kept is None for index, band in enumerate(bands) if index != place)


def test_invented_detail_is_present_and_not_kept() -> None:
    picture, other = (torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (1, 2))
    finest = detail(picture, other)[0]
    assert finest.kept is not None
    assert finest.present is not None
    assert abs(finest.kept) < 0.1
    assert finest.present == pytest.approx(1, abs=0.1)


def test_a_picture_of_one_pixel_has_no_details() -> None:
    assert [band.kept for band in detail(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))] == [None] * 4
    assert np.isclose(float(LUMA.sum()), 1)
