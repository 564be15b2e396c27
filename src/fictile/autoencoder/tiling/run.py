"""One picture through the stages of a network, by a plan."""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder.tiling.plan import Plan
from fictile.autoencoder.tiling.stages import Barrier, Flow, Rows, Stage, height_after, like


class Kept:
    """A bundle of whole maps, written from top to bottom and then read once or more, in slabs that can be let go.

    A map that is in the bundle twice is held once.
    """

    def __init__(self, slab: int | None) -> None:
        """Slabs have about so many bytes, or there is only one."""
        self._size = slab
        self._order: list[int] = []  # for each map of the bundle, which map of a slab it is
        self._slabs = deque[Rows]()
        self._filled = 0  # rows of the last slab

    def write(self, rows: Rows, height: int) -> None:
        """The next rows, of `height` in all. They are copied."""
        distinct = {id(one): one for one in rows}
        self._order = [list(distinct).index(id(one)) for one in rows]
        rows = tuple(distinct.values())
        while (count := rows[0].shape[2]) > 0:
            if not self._slabs or self._filled == self._slabs[-1][0].shape[2]:
                left = height - sum(slab[0].shape[2] for slab in self._slabs)
                fitting = left if self._size is None else self._size * count // sum(one.nbytes for one in rows)
                size = min(max(fitting, 1), left)
                self._slabs.append(tuple(like(one, size) for one in rows))
                self._filled = 0
            room = min(self._slabs[-1][0].shape[2] - self._filled, count)
            for slab, one in zip(self._slabs[-1], rows, strict=True):
                slab[:, :, self._filled : self._filled + room] = one[:, :, :room]
            self._filled += room
            rows = tuple(one[:, :, room:] for one in rows)

    def read(self, rows: int, *, let_go: bool) -> Iterator[Rows]:
        """All of it in bands of at most so many rows. A slab that was read is let go, if so wished."""
        for index in range(len(self._slabs)):
            slab = self._slabs.popleft() if let_go else self._slabs[index]
            for band in zip(*(_bands(one, rows) for one in slab), strict=True):
                yield tuple(band[index] for index in self._order)
            del slab


class Given:
    """The network's input, which belongs to someone else and stays.

    Its bands are channels-last, and so is what layers make of them: convolutions on CPUs copy what is not.
    """

    def __init__(self, tensor: Float[Tensor, "1 c h w"]) -> None:
        self._tensor = tensor

    def read(self, rows: int, *, let_go: bool) -> Iterator[Rows]:
        """All of it in bands of at most so many rows."""
        for band in _bands(self._tensor, rows):
            yield (band.contiguous(memory_format=torch.channels_last),)


def run(stages: Sequence[Stage], plan: Plan, given: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 d h2 w2"]:
    """What the stages, fresh from their list, make of the input."""
    heights = [given.shape[2]]
    for stage in stages:
        heights.append(height_after(stage, heights[-1]))
    source: Given | Kept = Given(given)
    for one in plan.passes:
        last = one.end == len(stages)
        kept = Kept(None if last else plan.slab) if last or one.keep is not None else None
        keep = one.end if last else one.keep
        flows = [Flow(stages[place], heights[place]) for place in range(one.start, one.end)]
        for band in source.read(one.rows, let_go=kept is not None):
            for place, rows in _places(band, flows, one.start):
                if kept and place == keep:
                    kept.write(rows, heights[place])
                if place == one.end and not last:
                    barrier = stages[place]
                    assert isinstance(barrier, Barrier), "a pass ends where the whole picture is needed"
                    barrier.take(rows[-1], heights[place])
        source = kept or source
    ((answer,),) = source.read(heights[-1], let_go=True)
    return answer


def _places(band: Rows, flows: Sequence[Flow], start: int) -> Iterator[tuple[int, Rows]]:
    """The band before each stage and after the last, as far as its rows are complete."""
    rows: Rows | None = band
    yield start, band
    del band
    for place, flow in enumerate(flows, start + 1):
        rows = flow.push(rows)
        if rows is None:
            return
        yield place, rows


def _bands(one: Float[Tensor, "1 c h w"], rows: int) -> tuple[Tensor, ...]:
    """Bands of at most so many rows, as equal as can be: a small rest would take nearly the time of a whole band."""
    return one.tensor_split(math.ceil(one.shape[2] / rows), dim=2)
