"""Pictures of any size for networks that want a multiple of something."""

import torch
from jaxtyping import Float
from torch import Tensor


def pad_to_multiple(
    pixels: Float[Tensor, "*batch c h w"], factor: int
) -> tuple[Float[Tensor, "*batch c H W"], tuple[int, int]]:
    """Mirror the picture beyond its lower and right edge until both sides are multiples of `factor`.

    Returns the padded pixels and the (height, width) that `crop` needs to undo it. The mirror bounces as often as it
    must, so a picture smaller than the padding works too; a side that fits already is left alone.
    """
    height, width = pixels.shape[-2:]
    return mirrored(pixels, right=-width % factor, bottom=-height % factor), (height, width)


def mirrored(
    pixels: Float[Tensor, "*batch c h w"], *, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0
) -> Float[Tensor, "*batch c H W"]:
    """The picture with so many pixels more on each side, mirrored at its edges as often as it must be."""
    height, width = pixels.shape[-2:]
    rows, columns = _bounce(height, top, bottom), _bounce(width, left, right)
    return pixels.index_select(-2, rows.to(pixels.device)).index_select(-1, columns.to(pixels.device))


def crop(pixels: Float[Tensor, "*batch c H W"], size: tuple[int, int]) -> Float[Tensor, "*batch c h w"]:
    """The upper left (height, width) of a padded picture."""
    height, width = size
    return pixels[..., :height, :width]


def _bounce(n: int, before: int, after: int) -> Tensor:
    """Indices ..., 1, 0, 1, ..., n-1, n-2, ..., 1, 0, 1, ... of a ball between two walls, from -before to n + after."""
    period = max(2 * (n - 1), 1)
    index = torch.arange(-before, n + after) % period
    return torch.minimum(index, period - index)
