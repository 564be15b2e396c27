"""Padding by reflection."""

import pytest
import torch
from torch.nn.functional import pad

from fictile.picture import crop, pad_to_multiple


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (8, 8), (17, 5), (64, 63)])
@pytest.mark.parametrize("factor", [1, 8, 64])
def test_crop_undoes_padding_at_any_size(size: tuple[int, int], factor: int) -> None:
    pixels = torch.randn(2, 3, *size)
    padded, kept = pad_to_multiple(pixels, factor)
    assert [side % factor for side in padded.shape[-2:]] == [0, 0]
    assert all(0 <= new - old < factor for new, old in zip(padded.shape[-2:], size, strict=True))
    assert torch.equal(crop(padded, kept), pixels)


def test_equals_the_reflection_of_torch_where_that_is_defined() -> None:
    pixels = torch.randn(3, 13, 10)
    assert torch.equal(pad_to_multiple(pixels, 8)[0], pad(pixels, (0, 6, 0, 3), mode="reflect"))


def test_bounces_in_a_picture_smaller_than_the_padding() -> None:
    padded, _ = pad_to_multiple(torch.tensor([0.0, 1.0, 2.0]).expand(1, 3, 3), 8)
    assert padded[0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
