"""The real tiny autoencoder of FLUX.2 and the packaged one on photographs, where they are at hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import fictile
from fictile.checkpoint.folder import PACKAGED
from fictile.latent import Latent
from fictile.loading import load_codec
from fictile.picture import Picture, from_uint8, load_picture

Bytes = UInt8[np.ndarray, "h w 3"]

PACKAGED_MODEL = Path(fictile.__file__).parent / "builtin" / PACKAGED
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


def five_times_saved(photo: Picture, vae: Path, folder: Path) -> list[Bytes]:
    """What is in the files of someone who encodes, decodes and saves a picture five times, the photograph first."""
    codec = load_codec(vae)
    pictures = [folder / f"{number}.png" for number in range(6)]
    photo.save(pictures[0])
    for before, after in pairwise(pictures):
        latent = after.with_suffix(".latent.safetensors")
        codec.encode(load_picture(before)).save(latent)
        codec.decode(Latent.load(latent)).save(after)
    return [np.array(Image.open(path)) for path in pictures]


@pytest.mark.parametrize("vae", [PACKAGED_MODEL, TINY], ids=["emoji", "taef2"])
@pytest.mark.parametrize(
    ("name", "side"), [("dogs", 80), *(pytest.param(name, 448, marks=pytest.mark.slow) for name in SIX)]
)
def test_five_saved_trips_go_as_a_report_of_one_foretold(name: str, side: int, vae: Path, tmp_path: Path) -> None:
    """The goal: PSNR within 1 dB and each mean colour within 0.5 of 255, by scikit-image and numpy on the files."""
    photo = photograph(name, side)
    [report] = fictile.roundtrip(photo, [vae]).trips
    assert len(report.passes) == 1
    assert [one.number for one in report.forecast] == [2, 3, 4, 5]
    files = five_times_saved(photo, vae, tmp_path)
    for foretold in report.forecast:
        saved = files[foretold.number]
        assert foretold.psnr == pytest.approx(peak_signal_noise_ratio(files[0], saved), abs=1)
        assert foretold.rgb == pytest.approx((saved - files[0].astype(float)).mean((0, 1)), abs=0.5)


def test_the_latent_of_flux2_is_known() -> None:
    [trip] = fictile.roundtrip(photograph("fig", 64), [TINY], foretell=False).trips
    assert trip.space == "flux2"
    assert trip.bits_per_pixel == pytest.approx(16 * 48 / 43)  # 64x43: the sides are filled up to multiples of 16


def test_photographs_are_better_kept_by_the_one_that_learnt_them() -> None:
    verdict = fictile.compare(photograph("stream", 64), ["emoji", TINY])
    assert verdict.best == "taef2"
