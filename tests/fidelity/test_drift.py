"""What later passes are foretold to leave, against the same passes when they are measured."""

import math

import pytest
import torch
from tests.fidelity.test_roundtrip import EXACT, TOY, Blur, Same, textured
from tests.tiny_model import tiny_autoencoder

import fictile
from fictile.codec import AutoencoderCodec
from fictile.errors import RequestError
from fictile.fidelity import Report, forecast, measure, one_pass
from fictile.fidelity.drift import LAST
from fictile.picture import Picture


def sticker(size: int) -> Picture:
    """A round thing in two colours on white, as the packaged model knows them; it is none of its training pictures."""
    across = torch.linspace(-1, 1, size)
    radius = torch.hypot(across[None], across[:, None])
    picture = torch.ones(3, size, size)
    for edge, colour in ((0.8, (0.95, 0.75, 0.2)), (0.45, (0.85, 0.25, 0.3)), (0.2, (0.3, 0.2, 0.5))):
        picture = torch.where(radius < edge, torch.tensor(colour)[:, None, None] * 2 - 1, picture)
    return Picture(picture)


def errors(foretold: Report, measured: Report) -> list[tuple[float, float]]:
    """Of each forecast: in decibels, and the largest of the three colours in 8-bit steps."""
    [one], [other] = foretold.trips, measured.trips
    assert [each.number for each in one.forecast] == list(range(len(one.passes) + 1, LAST + 1))
    return [
        (
            abs(each.psnr - other.passes[each.number - 1].psnr),
            max(abs(a - b) for a, b in zip(each.rgb, other.passes[each.number - 1].colour.rgb, strict=True)),
        )
        for each in one.forecast
    ]


@pytest.mark.parametrize("passes", [1, 3])
def test_five_passes_of_the_packaged_model_go_as_the_report_foretold(passes: int) -> None:
    """On what it knows. The goal is 1 dB and 0.5 of 255; a picture that made the passes whole leaves nothing open."""
    foretold, measured = (fictile.roundtrip(sticker(64), passes=number) for number in (passes, LAST))
    assert all(decibels < 1e-6 and colour < 1e-4 for decibels, colour in errors(foretold, measured))
    assert all((one.share, one.psnr_spread, one.rgb_spread) == (1, 0, 0) for one in foretold.trips[0].forecast)
    assert measured.trips[0].forecast == ()


def test_a_sample_of_a_large_picture_foretells_it_within_the_band() -> None:
    """With a codec that is local, as convolutions are; the truth is five passes over all of it."""
    picture, codec = textured(448, 512), Blur()
    _, first = one_pass(picture, codec)
    after = first
    for one in forecast(picture, first, codec, factor=TOY.factor, sample=2**16):
        _, after = one_pass(after, codec)
        true = measure(picture, after)
        assert 0.2 < one.share < 0.3
        assert abs(one.psnr - true.psnr) <= min(one.psnr_spread, 1)
        assert max(abs(a - b) for a, b in zip(one.rgb, true.colour.rgb, strict=True)) < 0.5 < one.rgb_spread


def test_a_network_sees_a_sample_of_the_picture() -> None:
    """Smoke and scale: tiles fit its cells, and the number of pixels that it is given is the one promised."""
    seen: list[int] = []

    class Counting(AutoencoderCodec):
        def encode(self, picture: Picture, *, tiling: str = "auto"):
            seen.append(picture.height * picture.width)
            return super().encode(picture, tiling=tiling)

    picture = textured(256, 200)
    found = forecast(picture, picture, Counting(tiny_autoencoder(), EXACT), factor=4, sample=2**14, done=3)
    assert [one.number for one in found] == [4, 5]
    assert len(seen) == 2
    assert all(2**13 < pixels <= 2**14 for pixels in seen)
    assert all(math.isfinite(one.psnr) and one.rgb_spread > 0 for one in found)


def test_a_picture_narrower_than_a_tile_makes_the_passes_whole() -> None:
    picture = textured(8, 700)
    assert {one.share for one in forecast(picture, picture, Same(), factor=1, sample=2**12)} == {1.0}


def test_what_came_back_exactly_will_do_so_again() -> None:
    picture = textured(24, 24)
    assert all(one.psnr == math.inf and one.psnr_spread == 0 for one in forecast(picture, picture, Same(), factor=1))


def test_a_forecast_can_be_left_out_and_has_to_be_a_known_one() -> None:
    [trip] = fictile.roundtrip(textured(24, 24), [Blur()], forecasts="none").trips
    assert trip.forecast == ()
    with pytest.raises(RequestError, match="no forecast 'guess'"):
        fictile.roundtrip(textured(24, 24), [Blur()], forecasts="guess")
