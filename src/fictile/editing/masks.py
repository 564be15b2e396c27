"""A mask made of all that a user names."""

from functools import reduce
from operator import or_
from pathlib import Path

from fictile.errors import RequestError
from fictile.picture import Mask, Source


def masked(
    source: Source,
    *,
    file: str | Path | None = None,
    box: tuple[int, int, int, int] | None = None,
    colour: str | None = None,
    tolerance: int = 0,
    transparent: bool = False,
    grow: float = 0.0,
) -> Mask | None:
    """What a picture file (white), a box (left, top, width, height), a colour or transparency marks, all together.

    None where nothing is named. Raises RequestError as the makers of `Mask` do, when the file has another size, and for
    what says more about a mask or a colour that was not named.
    """
    if colour is None and tolerance:
        raise RequestError(f"The tolerance is {tolerance}, and there is no colour that it is about; name one.")
    size = (source.height, source.width)
    masks: list[Mask] = []
    if file is not None:
        masks.append(Mask.open(file))
        masks[-1].check(size)
    if box is not None:
        left, top, width, height = box
        masks.append(Mask.box(size, left=left, top=top, width=width, height=height))
    if colour is not None:
        masks.append(Mask.where_colour(source, colour, tolerance))
    if transparent:
        masks.append(Mask.where_transparent(source))
    if masks:
        return reduce(or_, masks).grown(grow)
    if grow:
        raise RequestError(f"There is no mask to grow by {grow:g} pixels; name a picture, a box or a colour.")
    return None
