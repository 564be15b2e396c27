"""The real tiny autoencoder of FLUX.2 and the packaged one on photographs, where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import fictile
from fictile.picture import Picture, from_uint8, to_uint8

SHARED = Path(__file__).parents[3] / "shared"
TINY = SHARED / "weights" / "taesd" / "taef2_encoder.pth"

pytestmark = pytest.mark.skipif(not TINY.exists(), reason="needs taesd's weights and photographs in ../shared")


def photograph(name: str, side: int) -> Picture:
    """At most so many pixels along a side."""
    with Image.open(SHARED / "photos" / f"{name}.jpg") as whole:
        picture = whole.convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return Picture(from_uint8(np.array(picture)))


def test_three_passes_go_as_the_first_foretold() -> None:
    """At another size than the recorded chains; PSNR of the last picture is recomputed by scikit-image."""
    photo, last = photograph("dogs", 112), list[Picture]()

    def keep(_: str, __: str, picture: Picture) -> None:
        last.append(picture)

    report = fictile.roundtrip(photo, [TINY], passes=3, result=keep)
    [trip] = report.trips
    assert trip.space == "flux2"
    assert trip.bits_per_pixel == pytest.approx(16, rel=0.1)  # the sides are filled up to multiples of 16
    for figures, foretold in zip(trip.passes[1:], trip.forecast, strict=False):
        assert figures.psnr == pytest.approx(foretold.psnr, abs=1)
    again = peak_signal_noise_ratio(to_uint8(photo.pixels), to_uint8(last[0].pixels))
    assert trip.passes[-1].psnr == pytest.approx(again, abs=1e-3)


def test_photographs_are_better_kept_by_the_one_that_learnt_them() -> None:
    verdict = fictile.compare(photograph("stream", 64), ["emoji", TINY])
    assert verdict.best == TINY.stem
