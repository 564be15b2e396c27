"""What later passes are foretold to leave, against the same passes when they are measured."""

import math

import pytest
import torch
from tests.fidelity.test_roundtrip import Blur, Same, textured

import fictile
from fictile.fidelity import Report, forecast
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
    """The goal is 1 dB and 0.5 of 255; passes that were made leave nothing open."""
    foretold, measured = (fictile.roundtrip(sticker(64), passes=number) for number in (passes, LAST))
    assert all(decibels < 1e-6 and colour < 1e-4 for decibels, colour in errors(foretold, measured))
    assert measured.trips[0].forecast == ()


def test_what_came_back_exactly_will_do_so_again() -> None:
    picture = textured(24, 24)
    assert [one.psnr for one in forecast(picture, picture, Same())] == [math.inf] * 4


def test_a_forecast_can_be_left_out() -> None:
    [trip] = fictile.roundtrip(textured(24, 24), [Blur()], foretell=False).trips
    assert trip.forecast == ()
