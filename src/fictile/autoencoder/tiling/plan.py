"""Which maps to keep and which to compute again, so that a picture fits into the memory there is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

from fictile.autoencoder.tiling.costs import Costs

MIB = 2**20
BANDS = (64 * MIB, 16 * MIB, 4 * MIB)  # what a band may need while it passes through a stage; small ones are slower
OVERHEAD = 32 * MIB  # beside all that is counted: code that oneDNN makes, and what malloc holds in small pieces


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Bands from the map that is kept at `start` down to `end`, a barrier that takes them, or the end of the network.

    On the way the bundle at `keep`, if any, is written down; it takes the place of the one at `start`.
    """

    start: int
    end: int
    keep: int | None
    rows: int  # of a band, at the start


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The passes over a picture, and what they cost."""

    passes: tuple[Pass, ...]
    slab: int  # bytes of the pieces in which a map is kept, and let go
    memory: int  # bytes at the largest, weights not counted
    operations: int
    untiled_operations: int

    @property
    def effort(self) -> float:
        """Operations, as a multiple of an untiled run's."""
        return self.operations / self.untiled_operations


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Plans for one network, and `high` times `wide` cells of the latent."""

    costs: Costs
    high: int
    wide: int

    def plan(self, within: int) -> Plan:
        """The plan with the fewest operations that needs at most `within` bytes; if there is none, the smallest."""
        for band in BANDS:
            if plan := self._fastest(band, within):
                return plan
        return self._smallest(BANDS[-1])

    @property
    def untiled_memory(self) -> int:
        """Bytes that an untiled run needs beside the weights, from counted tensors."""
        return self.costs.untiled(self.high * self.wide)

    def _smallest(self, band: int) -> Plan:
        """The plan with the least memory, to a hundredth."""
        plan, low = self._fastest(band, None), 0
        assert plan, "without a limit there is always a plan"
        while plan.memory - low > plan.memory // 100:
            middle = (low + plan.memory) // 2
            if smaller := self._fastest(band, middle):
                plan = smaller
            else:
                low = middle
        return plan

    def _fastest(self, band: int, within: int | None) -> Plan | None:
        """Dynamic programming over the barriers: for each map that may be kept, the cheapest passes that lead there."""
        whole = self._operations(0, self._last)
        best = {0: Plan(passes=(), slab=band, memory=0, operations=0, untiled_operations=whole)}
        for previous, end in pairwise((0, *self._barriers, self._last)):
            found: dict[int, Plan] = {}
            for start, plan in best.items():
                for keep in self._choices(previous, end):
                    one, memory = self._pass(start, keep, end, band)
                    if within is not None and memory > within:
                        continue
                    longer = replace(
                        plan,
                        passes=(*plan.passes, one),
                        memory=max(plan.memory, memory),
                        operations=plan.operations + self._operations(start, end),
                    )
                    kept = start if keep is None else keep
                    if kept not in found or _cost(longer) < _cost(found[kept]):
                        found[kept] = longer
            best = found
        return min(best.values(), key=_cost, default=None)

    def _choices(self, previous: int, end: int) -> Iterator[int | None]:
        """Nothing is kept, or what the barrier takes, or the smallest bundle on the way to it."""
        yield None
        if end < self._last and previous < end:
            yield end
            yield min(range(previous + 1, end + 1), key=lambda place: self.costs.places[place].size)

    def _pass(self, start: int, keep: int | None, end: int, band: int) -> tuple[Pass, int]:
        """The pass, and the bytes it needs: what is read and what is written, a band under way, and what waits.

        What is read is let go as what is kept is written, slab by slab: two slabs of the smaller one count too.
        """
        here = self.costs.places[start].rows
        widest, waiting, remembered = self._under_way(start, end)
        rows = min(max(int(band / (widest / here)), 1), self.high * here)
        read, written = self._map(start) if start else 0, 0 if keep is None else self._map(keep)
        written = self._map(end) if end == self._last else written
        maps = max(read, written) + min(read, written, 2 * band)
        counted = self.costs.fixed + maps + int(rows * widest / here) + waiting + remembered
        memory = OVERHEAD + int((1 + self.costs.spare) * counted)
        return Pass(start=start, end=end, keep=keep, rows=rows), memory

    def _under_way(self, start: int, end: int) -> tuple[int, int, int]:
        """Bytes of a band as high as a row of cells at its widest, of all that waits for the next, and in barriers."""
        if (start, end) not in self._known:
            places, steps = self.costs.places[start : end + 1], self.costs.steps[start : end + 1]
            widest = max(step.band for step in steps) * self.wide
            pairs = zip(places, steps, strict=False)
            waiting = sum(step.context * place.size * self.wide // place.rows for place, step in pairs)
            self._known[start, end] = widest, waiting, sum(step.memory for step in steps) * self.wide * self.high
        return self._known[start, end]

    def _map(self, place: int) -> int:
        return self.costs.places[place].size * self.high * self.wide

    def _operations(self, start: int, end: int) -> int:
        return self._sums[end] - self._sums[start]

    @cached_property
    def _sums(self) -> list[int]:
        """Operations before each place."""
        cells = self.high * self.wide
        costs = (step.operations * cells * (cells if step.times_cells else 1) for step in self.costs.steps)
        return list(accumulate(costs, initial=0))

    @cached_property
    def _barriers(self) -> list[int]:
        return [place for place, step in enumerate(self.costs.steps) if step.barrier]

    @property
    def _last(self) -> int:
        return len(self.costs.steps)

    @cached_property
    def _known(self) -> dict[tuple[int, int], tuple[int, int, int]]:
        return {}


def _cost(plan: Plan) -> tuple[int, int]:
    return plan.operations, plan.memory
