"""Masks: where they come from, what they become, and that no masked pixel is lost on the way."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from fictile.errors import RequestError
from fictile.picture import Mask, open_source

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24))
MASKS = SIZES.flatmap(lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 0, 0, 1, 100, 255]))).map(Mask)


def saved(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    Image.fromarray(array, mode).save(path) if mode else Image.fromarray(array).save(path)
    return path


def test_a_grey_picture_is_a_mask_as_it_stands(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(Mask.open(saved(tmp_path / "grey.png", values)).values, values)


def test_of_16_bits_what_is_masked_stays_masked(tmp_path: Path) -> None:
    values = np.array([[0, 1, 100, 32896, 65535]], dtype=np.uint16)
    assert Mask.open(saved(tmp_path / "deep.png", values)).values.tolist() == [[0, 1, 1, 128, 255]]


def test_white_strokes_on_a_transparent_layer_are_a_mask(tmp_path: Path) -> None:
    layer = np.zeros((2, 3, 4), dtype=np.uint8)
    layer[0, 1] = 255
    layer[1, 2] = (255, 255, 255, 128)
    assert Mask.open(saved(tmp_path / "layer.png", layer)).values.tolist() == [[0, 255, 0], [0, 0, 128]]


def test_what_is_transparent_or_has_a_colour_is_found(tmp_path: Path) -> None:
    array = np.full((2, 2, 4), 255, dtype=np.uint8)
    array[0, 0] = (9, 9, 9, 0)
    array[1, 1] = (254, 0, 255, 255)
    source = open_source(saved(tmp_path / "sticker.png", array))
    assert Mask.where_transparent(source).values.tolist() == [[255, 0], [0, 0]]
    assert Mask.where_colour(source, "#ff00ff").is_empty
    assert Mask.where_colour(source, "FF00FF", tolerance=1).values.tolist() == [[0, 0], [0, 255]]
    with pytest.raises(RequestError, match="'pink' is no colour; write it as #RRGGBB"):
        Mask.where_colour(source, "pink")


def test_a_box_lies_where_it_was_said_and_ends_with_the_picture() -> None:
    assert Mask.box((3, 4), left=1, top=2, width=9, height=9).values.tolist() == [[0] * 4, [0] * 4, [0, 255, 255, 255]]
    with pytest.raises(RequestError, match="holds no pixel of the picture, which is 4x3"):
        Mask.box((3, 4), left=4, top=0, width=2, height=2)


def test_masks_add_up_and_must_have_one_size() -> None:
    one, other = Mask(np.array([[0, 9]], np.uint8)), Mask(np.array([[7, 3]], np.uint8))
    assert (one | other).values.tolist() == [[7, 9]]
    with pytest.raises(RequestError, match="The mask is 2x1 and the picture 5x4"):
        one.check((4, 5))


@settings(max_examples=40)
@given(MASKS, st.integers(1, 4), st.integers(1, 3))
def test_no_masked_pixel_is_lost_on_the_latent_grid(mask: Mask, factor: int, per: int) -> None:
    cells = mask.cells(factor * per, factor)
    assert all(side % per == 0 for side in cells.shape[2:])
    covered = cells[0, 0].repeat_interleave(factor, 0).repeat_interleave(factor, 1)[: mask.height, : mask.width]
    assert bool((covered >= mask.amount).all())
    assert float(cells.max()) == float(mask.amount.max())


@settings(max_examples=40)
@given(MASKS, st.floats(0, 6))
def test_opacity_is_1_on_the_mask_falls_and_ends_with_the_feather(mask: Mask, feather: float) -> None:
    opacity = mask.opacity(feather).numpy()
    inside = mask.values > 0
    assert (opacity[inside] == 1).all()
    assert ((opacity >= 0) & (opacity <= 1)).all()
    rows, columns = np.nonzero(inside)
    for row, column in np.argwhere(~inside):
        near = np.hypot(rows - row, columns - column).min() if len(rows) else np.inf
        assert (opacity[row, column] > 0) == (near <= feather)


@settings(max_examples=40)
@given(MASKS, st.floats(0, 5))
def test_a_grown_mask_keeps_its_inside_and_takes_the_nearest_value_around_it(mask: Mask, pixels: float) -> None:
    grown = mask.grown(pixels).values
    inside = mask.values > 0
    assert np.array_equal(grown[inside], mask.values[inside])
    assert np.array_equal(grown > 0, mask.opacity(pixels).numpy() > 0)
    assert set(np.unique(grown)) <= {0, *np.unique(mask.values)}


@settings(max_examples=40)
@given(MASKS)
def test_a_mask_survives_a_recipe(mask: Mask) -> None:
    assert np.array_equal(Mask.from_text(mask.to_text()).values, mask.values)


@pytest.mark.parametrize("text", ["", "!", "aGVsbG8=", Mask.everything((2, 2)).to_text()[:40]])
def test_a_damaged_mask_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="mask in the recipe is damaged"):
        Mask.from_text(text)


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_a_mask_neither_grows_nor_fades_by_what_is_no_length(amount: float) -> None:
    mask = Mask.everything((2, 2))
    with pytest.raises(RequestError, match="cannot be grown by"):
        mask.grown(amount)
    with pytest.raises(RequestError, match="cannot be feathered by"):
        mask.opacity(amount)


def test_the_faintest_amount_is_masked() -> None:
    assert Mask.of(torch.tensor([[0.0, 1 / 65535, 0.5, 1.0]])).values.tolist() == [[0, 1, 128, 255]]
