"""The real tiny autoencoders, where their weights are at hand: what a picture is worth after the trip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fictile.autoencoder import KNOWN, AnyAutoencoder
from fictile.checkpoint import open_autoencoder, read_autoencoder
from fictile.errors import RequestError
from fictile.fidelity import psnr
from fictile.latent import SPACES

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS, PHOTOS = SHARED / "weights" / "taesd", SHARED / "photos"

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_dir(), reason="needs taesd's weights in ../shared, beside the repository"
)

SIDE = 512
# In decibels, of the middle square of each photograph at 512x512. What other machines round moves the third digit.
EXPECTED = {"brushes": 27.42, "dandelions": 34.50, "dogs": 35.63, "fig": 29.16, "mountains": 28.64, "stream": 23.50}


def opened(name: str) -> AnyAutoencoder:
    """The published one of this name; of two files where both are there."""
    found = open_autoencoder(WEIGHTS / f"{name}_encoder.pth")
    return read_autoencoder(found, space=KNOWN[name].space)


def photograph(name: str) -> Tensor:
    """The middle square, 512x512, in [-1, 1]."""
    with Image.open(PHOTOS / f"{name}.jpg") as whole:
        side = min(whole.size)
        left, upper = (whole.width - side) // 2, (whole.height - side) // 2
        square = whole.convert("RGB").crop((left, upper, left + side, upper + side))
        pixels = np.array(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.fixture(scope="module")
def taef2() -> AnyAutoencoder:
    return opened("taef2")


@pytest.mark.parametrize("name", EXPECTED)
def test_flux2_tiny_round_trips_photographs(taef2: AnyAutoencoder, name: str) -> None:
    pixels = photograph(name)
    latent = taef2.encode(pixels).mode()
    assert latent.space == SPACES["flux2"]
    assert latent.data.shape == (1, 128, SIDE // 16, SIDE // 16)
    assert latent.data.std() == pytest.approx(0.83, abs=0.06)  # model units: the raw latents' is about 1.8
    assert psnr(pixels[0], taef2.decode(latent)[0].clamp(-1, 1)) == pytest.approx(EXPECTED[name], abs=0.05)


def test_sanas_tiny_encoder_speaks_model_units() -> None:
    sana = opened("taesana")
    latent = sana.encode(photograph("dogs")).mode()
    assert latent.data.shape == (1, 32, SIDE // 32, SIDE // 32)
    assert latent.data.std() == pytest.approx(0.89, abs=0.02)  # the raw latents' is 1 / 0.41407 of that
    with pytest.raises(RequestError, match="load its decoder's file too"):
        sana.decode(latent)
