"""Samples of pictures: where the tiles lie, and what they say of the whole."""

import numpy as np
import pytest

from fictile.fidelity.sample import draw_sample, expected, features, tile_side


@pytest.mark.parametrize(("size", "factor"), [((700, 900), 8), ((3000, 64), 16), ((400, 1300), 32)])
def test_tiles_lie_in_the_picture_on_its_cells_and_all_over_it(size: tuple[int, int], factor: int) -> None:
    sample = draw_sample(size, factor, 2**17)
    assert sample.side == tile_side(factor) == 2 * max(16, factor)
    assert sample.pixels <= 2**17 * 1.1
    corners = np.array(sample.places).reshape(-1, 2)
    assert (corners % factor == 0).all()
    assert (corners >= 0).all()
    assert (corners + sample.side <= np.array(size)).all()
    assert len({tuple(corner) for corner in corners.tolist()}) == len(corners)
    middle = corners.mean(axis=0) + sample.side / 2
    assert np.abs(middle / np.array(size) - 0.5).max() < 0.1


def test_tiles_are_cut_out_and_their_middles_averaged() -> None:
    picture = np.random.default_rng(0).random((200, 260, 3))
    sample = draw_sample((200, 260), 8, 2**14)
    mosaic, means = sample.of(picture), sample.means(sample.of(picture))
    assert mosaic.shape[0] * mosaic.shape[1] == sample.pixels
    top, left = sample.places[1][2]
    assert np.array_equal(mosaic[32:64, 64:96], picture[top : top + 32, left : left + 32])
    inner = picture[top + 8 : top + 24, left + 8 : left + 24].mean(axis=(0, 1))
    assert means[len(sample.places[0]) + 2] == pytest.approx(inner)


def test_what_follows_from_what_is_known_is_told_exactly_and_chance_with_its_error() -> None:
    random = np.random.default_rng(1)
    before = random.random((256, 256, 3)) * 255 * np.linspace(0, 1, 256)[:, None, None]
    after = before * 0.9 + random.normal(0, 3, before.shape)
    sample, known = draw_sample((256, 256), 8, 2**15), features(before, after)
    exact = 5 + 0.3 * (after - before) - 0.1 * after
    chance = exact + random.normal(0, 40, before.shape)
    terms, population = sample.means(sample.of(known)), known.mean(axis=(0, 1))
    found, spread = expected(sample.means(sample.of(exact)), terms, population)
    assert found == pytest.approx(exact.mean(axis=(0, 1)), abs=1e-6)
    assert spread == pytest.approx(0, abs=1e-6)
    found, spread = expected(sample.means(sample.of(chance)), terms, population)
    assert spread == pytest.approx(2 * 40 / 16 / 32**0.5, rel=0.3)  # two of: a tile's 256 pixels, and 32 tiles
    assert (np.abs(found - chance.mean(axis=(0, 1))) < 1.5 * spread).all()
