"""Small networks of each shape of the family."""

from collections.abc import Callable

import pytest
import torch

from fictile.denoiser import Conditioning, Denoiser, UNet, UNetSpec
from fictile.latent import LatentSpace
from fictile.schedule import DDPM, Prediction


@pytest.fixture
def tiny() -> UNet:
    """Two levels, one of them with attention; takes multiples of 2."""
    torch.manual_seed(0)
    spec = UNetSpec(widths=(8, 16), layers=1, depth=(0, 1), heads=(2, 2), context_width=6, groups=4)
    return UNet(spec).eval().requires_grad_(requires_grad=False)


@pytest.fixture
def denoiser(tiny: UNet) -> Denoiser:
    return make_denoiser(tiny, "v")


@pytest.fixture
def of_prediction(tiny: UNet) -> Callable[[Prediction], Denoiser]:
    return lambda prediction: make_denoiser(tiny, prediction)


@pytest.fixture
def texts() -> tuple[Conditioning, Conditioning]:
    """Positive and negative, for two latents."""
    torch.manual_seed(1)
    return Conditioning(torch.randn(2, 5, 6)), Conditioning(torch.randn(2, 5, 6))


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))


def make_denoiser(network: UNet, prediction: Prediction) -> Denoiser:
    return Denoiser(network, DDPM(), prediction, LatentSpace(id="test", channels=4, factor=8))
