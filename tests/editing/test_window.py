"""The window that a model sees: around the mask, at its own size, and back into its place."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fictile.editing import Window
from fictile.errors import RequestError
from fictile.picture import Mask, Picture


@settings(max_examples=60)
@given(st.data(), st.integers(1, 300), st.integers(1, 300), st.integers(0, 40))
def test_a_window_holds_the_mask_and_its_padding_and_lies_in_the_picture(
    data: st.DataObject, height: int, width: int, padding: int
) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    opacity = torch.zeros(height, width)
    opacity[top : top + 9, left : left + 5] = 1
    window = Window.around(opacity, padding=padding, native=(64, 64), multiple=8)
    bottom, right = min(top + 9 + padding, height), min(left + 5 + padding, width)
    assert 0 <= window.top <= max(top - padding, 0)
    assert bottom <= window.top + window.height <= height
    assert 0 <= window.left <= max(left - padding, 0)
    assert right <= window.left + window.width <= width
    assert all(side % 8 == 0 and side >= 8 for side in window.size)
    mask = Mask((opacity.numpy() * 255).astype("uint8"))
    assert not window.mask(mask).is_empty
    assert int(window.inside(opacity).sum()) == window.height * window.width


def test_a_window_grows_to_the_models_proportions_and_keeps_its_number_of_pixels() -> None:
    opacity = torch.zeros(400, 600)
    opacity[190:210, 280:320] = 1
    window = Window.around(opacity, padding=10, native=(64, 64), multiple=8)
    assert (window.height, window.width, window.size) == (60, 60, (64, 64))
    assert (window.top, window.left) == (170, 270)
    flat = Window.around(opacity[:, :].clone()[180:220], padding=10, native=(64, 64), multiple=8)
    assert (flat.height, flat.width, flat.size) == (40, 60, (56, 80))


def test_what_is_outside_of_the_window_comes_back_as_it_was() -> None:
    picture = Picture(torch.rand(3, 50, 70) * 2 - 1)
    opacity = torch.zeros(50, 70)
    opacity[20:30, 40:50] = 1
    window = Window.around(opacity, padding=4, native=(32, 32), multiple=8)
    back = window.put_back(window.seen(picture).pixels, picture)
    inside = window.inside(opacity)
    assert torch.equal(back[:, ~inside], picture.pixels[:, ~inside])
    assert (back - picture.pixels).abs().mean() < 0.1
    with pytest.raises(RequestError, match="Nothing is masked"):
        Window.around(torch.zeros(4, 4), padding=0, native=(32, 32), multiple=8)
