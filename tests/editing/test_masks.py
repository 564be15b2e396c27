"""Masks made of all that a user names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fictile.editing import masked
from fictile.errors import RequestError
from fictile.picture import Source, open_source


@pytest.fixture
def red(tmp_path: Path) -> Source:
    """Red at the left, blue at the right."""
    array = np.zeros((4, 6, 3), np.uint8)
    array[:, :3, 0], array[:, 3:, 2] = 250, 250
    Image.fromarray(array).save(tmp_path / "red.png")
    return open_source(tmp_path / "red.png")


def test_all_that_is_named_adds_up_and_grows(red: Source) -> None:
    both = masked(red, colour="#ff0000", tolerance=5, box=(5, 0, 1, 1), grow=1.0)
    assert both is not None
    assert (both.values > 0).tolist() == [
        [True] * 6,
        [True, True, True, True, False, True],
        *[[True] * 4 + [False] * 2] * 2,
    ]


def test_nothing_named_is_no_mask_and_nothing_can_be_said_of_it(red: Source) -> None:
    assert masked(red) is None
    with pytest.raises(RequestError, match="no mask to grow by 3 pixels"):
        masked(red, grow=3.0)
    with pytest.raises(RequestError, match="tolerance is 9, and there is no colour"):
        masked(red, box=(0, 0, 2, 2), tolerance=9)
