"""Where it hurts is where the change was made."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image

from fictile.fidelity.evidence import PREVIEW, REGION, evidence, webp, worst
from fictile.picture import Picture, to_uint8


def test_the_worst_places_are_those_that_changed_and_do_not_overlap() -> None:
    before = torch.zeros(3, 160, 200)
    after = before.clone()
    after[:, 10:70, 120:190] += 0.5
    after[:, 100:150, 5:60] += 0.3
    found = evidence(Picture(before), Picture(after))
    first, second, third = found.regions
    assert (first.left, first.top, first.width, first.height) == (120, 6, REGION, REGION) or first.top in range(5, 12)
    assert 110 <= first.left <= 130
    assert second.delta_e < first.delta_e
    assert second.left < 60
    assert second.top > 80
    assert abs(third.left - first.left) >= REGION or abs(third.top - first.top) >= REGION
    cut = np.asarray(Image.open(BytesIO(first.after)))[::4, ::4]
    rows, columns = slice(first.top, first.top + REGION), slice(first.left, first.left + REGION)
    assert np.array_equal(cut, to_uint8(after)[rows, columns])


def test_every_square_is_looked_at() -> None:
    """Against the sums written out."""
    differences = np.random.default_rng(0).random((70, 90))
    [place] = worst(differences, 1)
    best = max(
        (differences[top : top + REGION, left : left + REGION].mean(), top, left)
        for top in range(7)
        for left in range(27)
    )
    assert (place[0].start, place[1].start) == best[1:]


def test_the_heat_map_is_dark_where_nothing_changed() -> None:
    after = torch.zeros(3, 64, 64)
    after[:, :, 40:] = 1
    heat = np.asarray(Image.open(BytesIO(evidence(Picture(torch.zeros(3, 64, 64)), Picture(after)).heat)).convert("L"))
    assert heat[:, 50:].mean() > heat[:, :30].mean() + 80


def test_small_pictures_are_one_place_and_large_ones_are_scaled_down() -> None:
    tiny = evidence(Picture(torch.zeros(3, 3, 5)), Picture(torch.ones(3, 3, 5)))
    assert [(one.width, one.height) for one in tiny.regions] == [(5, 3)]
    assert Image.open(BytesIO(webp(Picture(torch.zeros(3, 20, 1500))))).size == (PREVIEW, 14)
