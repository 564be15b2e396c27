"""The measure of what matching colours does."""

import pytest
import torch
from colours import measured

from fictile.latent import Latent, LatentSpace
from fictile.picture import Picture

SPACE = LatentSpace(id="plain", channels=3, factor=1)


class Dim:
    """A codec that takes colours a step away, and contrast a tenth."""

    def encode(self, picture: Picture) -> Latent:
        return Latent(picture.pixels[None], SPACE)

    def decode(self, latent: Latent) -> Picture:
        return Picture(0.9 * latent.data[0] + 0.05)


def test_the_three_ways_are_told_apart() -> None:
    noise = torch.rand(3, 256, 256, generator=torch.Generator().manual_seed(0)) - 0.5
    plain, mean, contrast = measured(Dim(), Picture(noise))
    assert plain.mean == pytest.approx(255 / 2 * 0.05, rel=0.02)
    assert mean.mean < 0.1
    assert contrast.mean < 0.1
    assert plain.rms > mean.rms > 10 * contrast.rms
