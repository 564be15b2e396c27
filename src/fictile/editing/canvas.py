"""Outpainting: a canvas larger than its picture."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from fictile.errors import RequestError
from fictile.picture import Mask, Picture, Source, mirrored

LARGEST = 2**13  # pixels that one side may grow by


class Edges(NamedTuple):
    """By how many pixels a canvas grows on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def check(self) -> None:
        """Raises RequestError for numbers that are no sizes."""
        if not all(0 <= edge <= LARGEST for edge in self):
            raise RequestError(f"A canvas cannot grow by {', '.join(map(str, self))} pixels; give 0 to {LARGEST} each.")


def widened(source: Source, edges: Edges) -> Source:
    """The file's samples in the midst of a larger canvas."""
    return source.extended(**edges._asdict()) if any(edges) else source


def mirrored_picture(source: Source, edges: Edges) -> Picture:
    """What the file looks like, mirrored into the larger canvas: something to start from that has its colours."""
    picture = source.picture()
    return Picture(mirrored(picture.pixels, **edges._asdict()), picture.had_alpha)


def widened_mask(mask: Mask | None, size: tuple[int, int], edges: Edges) -> Mask | None:
    """A mask of a picture of this size, on its larger canvas: what is new may change entirely.

    Without a mask, nothing but the new may change; or everything, where nothing is new.
    """
    if mask is not None:
        mask.check(size)
    if not any(edges):
        return mask
    inside = torch.zeros(size) if mask is None else mask.amount
    return Mask.of(grown_by(inside, edges, 1.0))


def grown_by(values: Float[Tensor, "h w"], edges: Edges, value: float) -> Float[Tensor, "H W"]:
    """A grid of numbers on the larger canvas, with `value` where it is new."""
    return pad(values, (edges.left, edges.right, edges.top, edges.bottom), value=value)
