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


SIX = sorted(path.stem for path in (SHARED / "photos").glob("*.jpg"))


@pytest.mark.parametrize("vae", ["emoji", TINY], ids=["emoji", "taef2"])
@pytest.mark.parametrize(
    ("name", "side"), [("dogs", 80), *(pytest.param(name, 448, marks=pytest.mark.slow) for name in SIX)]
)
def test_five_passes_go_as_a_report_of_one_foretold(name: str, side: int, vae: str | Path) -> None:
    """The goal: PSNR within 1 dB and each mean colour within 0.5 of 255. The last PSNR is also scikit-image's."""
    photo, last = photograph(name, side), list[Picture]()

    def keep(_: str, __: str, picture: Picture) -> None:
        last.append(picture)

    [foretold] = fictile.roundtrip(photo, [vae]).trips
    [measured] = fictile.roundtrip(photo, [vae], passes=5, result=keep).trips
    assert [one.number for one in foretold.forecast] == [2, 3, 4, 5]
    for one in foretold.forecast:
        figures = measured.passes[one.number - 1]
        assert one.psnr == pytest.approx(figures.psnr, abs=1)
        assert one.rgb == pytest.approx(figures.colour.rgb, abs=0.5)
    again = peak_signal_noise_ratio(to_uint8(photo.pixels), to_uint8(last[0].pixels))
    assert measured.passes[-1].psnr == pytest.approx(again, abs=1e-3)


def test_the_latent_of_flux2_is_known() -> None:
    [trip] = fictile.roundtrip(photograph("fig", 64), [TINY], foretell=False).trips
    assert trip.space == "flux2"
    assert trip.bits_per_pixel == pytest.approx(16 * 48 / 43)  # 64x43: the sides are filled up to multiples of 16


def test_photographs_are_better_kept_by_the_one_that_learnt_them() -> None:
    verdict = fictile.compare(photograph("stream", 64), ["emoji", TINY])
    assert verdict.best == "taef2"
