"""The eight orientations of EXIF (2.32, tag 0x0112): how a stored picture is turned to stand upright."""

import numpy as np
from jaxtyping import Shaped

TAG = 0x0112

# Of each orientation: whether rows and columns change places, and then whether the rows and the columns run backwards.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

Grid = Shaped[np.ndarray, "..."]


def upright(stored: Grid, orientation: int) -> Grid:
    """Turn an array "h w ..." as stored into one as seen. A view, not a copy."""
    swap, rows, columns = _TURNS[orientation]
    turned = stored.swapaxes(0, 1) if swap else stored
    return turned[_step(rows), _step(columns)]


def as_stored(seen: Grid, orientation: int) -> Grid:
    """Undo `upright`. A view, not a copy."""
    swap, rows, columns = _TURNS[orientation]
    turned = seen[_step(rows), _step(columns)]
    return turned.swapaxes(0, 1) if swap else turned


def swaps_sides(orientation: int) -> bool:
    """Whether the height of the stored picture is the width of the upright one."""
    return _TURNS[orientation][0]


def known(orientation: object) -> int:
    """The orientation a file states, or 1 for what is none."""
    return orientation if isinstance(orientation, int) and orientation in _TURNS else 1


def _step(backwards: bool) -> slice:
    return slice(None, None, -1 if backwards else None)
