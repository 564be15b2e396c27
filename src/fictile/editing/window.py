"""Only what is masked: the part of a picture that a model sees at its own size."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, interpolate

from fictile.errors import RequestError
from fictile.picture import Mask, Picture


@dataclass(frozen=True, kw_only=True)
class Window:
    """A rectangle of a picture, and the height and width at which a model sees it."""

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]

    @classmethod
    def around(cls, opacity: Float[Tensor, "h w"], *, padding: int, native: tuple[int, int], multiple: int) -> "Window":
        """The smallest window around all that is painted with `padding` pixels more on each side, as far as there are.

        Its shorter side grows towards the proportions of `native`, the height and width that the model was made for.
        It is seen at about as many pixels as those have, with sides that are multiples of `multiple`. Raises
        RequestError when nothing is painted.
        """
        rows, columns = (torch.nonzero((opacity > 0).any(dim)).flatten().tolist() for dim in (1, 0))
        if not rows:
            raise RequestError("Nothing is masked, so there is no part to look at; give a mask.")
        height, width = (
            min(line[-1] + 1 + padding, whole) - max(line[0] - padding, 0)
            for line, whole in ((rows, opacity.shape[0]), (columns, opacity.shape[1]))
        )
        ratio = native[0] / native[1]
        high, wide = max(height, round(width * ratio)), max(width, round(height / ratio))
        (top, height), (left, width) = (
            _placed(line, length, whole)
            for line, length, whole in ((rows, high, opacity.shape[0]), (columns, wide, opacity.shape[1]))
        )
        scale = math.sqrt(native[0] * native[1] / (height * width))
        sides = [max(round(side * scale / multiple), 1) * multiple for side in (height, width)]
        return cls(top=top, left=left, height=height, width=width, size=(sides[0], sides[1]))

    def seen(self, picture: Picture) -> Picture:
        """The part of the picture, scaled to what the model sees."""
        return Picture(_scaled(self._cut(picture.pixels), self.size), picture.had_alpha)

    def mask(self, mask: Mask) -> Mask:
        """The part of the mask, scaled so that no masked pixel is lost."""
        return Mask.of(adaptive_max_pool2d(self._cut(mask.amount)[None], self.size)[0])

    def put_back(self, pixels: Float[Tensor, "3 a b"], picture: Picture) -> Float[Tensor, "3 h w"]:
        """The picture's pixels, with those that the model made of its part scaled back into their place."""
        whole = picture.pixels.clone()
        self._cut(whole).copy_(_scaled(pixels, (self.height, self.width)))
        return whole

    def inside(self, grid: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
        """Which pixels of a grid of the picture's size lie in the window."""
        inside = torch.zeros_like(grid, dtype=torch.bool)
        self._cut(inside).fill_(True)
        return inside

    def _cut(self, grid: Shaped[Tensor, "*c h w"]) -> Shaped[Tensor, "*c H W"]:
        return grid[..., self.top : self.top + self.height, self.left : self.left + self.width]


def _placed(line: list[int], length: int, whole: int) -> tuple[int, int]:
    """Start and length of a stretch around the first and last of `line` that lies inside `whole`."""
    length = min(length, whole)
    start = (line[0] + line[-1] + 1 - length) // 2
    return min(max(start, 0), whole - length), length


def _scaled(pixels: Float[Tensor, "3 h w"], size: tuple[int, int]) -> Float[Tensor, "3 H W"]:
    if pixels.shape[1:] == size:
        return pixels
    return interpolate(pixels[None], size, mode="bicubic", antialias=True)[0].clamp(-1, 1)
