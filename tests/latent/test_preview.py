"""Colours straight from channels, where the truth is known."""

import pytest
import torch
from torch.nn import functional as F

from fictile.latent import LinearPreview


def test_a_linear_space_is_shown_exactly() -> None:
    """Sixteen channels hold the colours of 2x2 pixels, turned into one another; with little noise in the fit."""
    pixels = torch.rand(4, 3, 32, 32, dtype=torch.float64).float() * 2 - 1
    turned, _ = torch.linalg.qr(torch.randn(16, 16))
    colours = F.pad(F.pixel_unshuffle(F.avg_pool2d(pixels, 4), 2), (0, 0, 0, 0, 0, 4))
    found = LinearPreview.fitted(torch.einsum("bchw,cd->bdhw", colours + 0.3, turned), pixels)
    assert (found.fine, found.offset.shape) == (2, (12,))
    latents = torch.einsum("bchw,cd->bdhw", colours + 0.3, turned)
    torch.testing.assert_close(found(latents), F.avg_pool2d(pixels, 4), rtol=0, atol=1e-2)
    assert found.r2 is not None
    assert found.r2 > 0.999


def test_r2_is_of_pictures_that_the_fit_did_not_see() -> None:
    """Noise foretells nothing, however many channels there are to remember it with."""
    found = LinearPreview.fitted(torch.randn(4, 64, 4, 4), torch.rand(4, 3, 32, 32) * 2 - 1)
    assert found.r2 is not None
    assert found.r2 < 0.05


@pytest.mark.parametrize(("channels", "factor", "fine"), [(4, 8, 1), (16, 16, 2), (48, 8, 4), (128, 1, 1), (192, 8, 8)])
def test_a_cell_gets_no_more_colours_than_it_has_channels(channels: int, factor: int, fine: int) -> None:
    found = LinearPreview.fitted(torch.randn(2, channels, 1, 1), torch.rand(2, 3, factor, factor))
    assert found.fine == fine
    assert found(torch.randn(3, channels, 2, 5)).shape == (3, 3, 2 * fine, 5 * fine)


def test_a_published_map_is_applied_before_cells_are_folded() -> None:
    rows, offset, cells = torch.randn(5, 3) / 10, torch.tensor([0.1, -0.2, 0.3]), torch.randn(1, 5, 4, 6)
    found = LinearPreview.published(rows, offset, 20)(F.pixel_unshuffle(cells, 2))
    expected = torch.einsum("bchw,cn->bnhw", cells, rows) + offset[:, None, None]
    torch.testing.assert_close(found, expected.clamp(-1, 1))
