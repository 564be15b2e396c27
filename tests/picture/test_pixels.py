"""Bytes to floats and back."""

import numpy as np
import pytest
import torch

from fictile.errors import FictileError
from fictile.picture import Picture, from_uint8, to_uint8


def test_every_byte_survives_the_trip() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    pixels = from_uint8(levels)
    assert (pixels.min(), pixels.max()) == (-1, 1)
    np.testing.assert_array_equal(to_uint8(pixels), levels)


def test_rounds_to_the_nearest_level_and_clips() -> None:
    levels = torch.tensor([99.6, 100.4, -3.0, 300.0]) / 127.5 - 1
    assert to_uint8(levels.expand(3, 1, 4))[0, :, 0].tolist() == [100, 100, 0, 255]


def test_half_precision_pixels_are_accepted() -> None:
    assert to_uint8(torch.ones(3, 2, 2, dtype=torch.bfloat16)).min() == 255


def test_pixels_that_are_no_numbers_are_an_error_and_not_a_colour() -> None:
    pixels = torch.zeros(3, 2, 2)
    pixels[0, 0, 0] = torch.nan
    with pytest.raises(FictileError, match=r"not finite.*float32"):
        to_uint8(pixels)


def test_a_picture_knows_its_size() -> None:
    picture = Picture(torch.zeros(3, 2, 5))
    assert (picture.height, picture.width, picture.had_alpha) == (2, 5, False)
