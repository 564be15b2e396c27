"""Libraries at the same work: are their results the same, and how long does each take?

Contestants take turns within each round, so that whatever else slows the machine slows all of them, and ratios are
taken within rounds before the median over the rounds.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from benchmarks.memory import growth

Run = Callable[[], Tensor]

# How far apart two right results may be, as |a - b| / |b| over the whole tensor. bf16 keeps 8 significant bits, and
# guidance multiplies what is lost in each step.
TOLERANCE = {"float32": 1e-3, "bf16": 0.1}


class Unequal(Exception):
    """The two sides computed different things, so that their times cannot be compared."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One job in one precision, ready to run on both sides."""

    case: str
    precision: str
    job: str  # what is computed, for people
    fictile: Run
    peers: Mapping[str, Run]  # the same by others: a program, or its name, a comma and a setting


@dataclass(frozen=True, kw_only=True)
class Side:
    """How one contestant did."""

    seconds: list[float]  # one per round
    memory: int | None  # bytes that one run needs beside the weights; None where the system does not say

    @property
    def median(self) -> float:
        """Seconds of the middle round."""
        return median(self.seconds)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the two results are apart."""

    largest: float  # absolute difference of any two elements
    relative: float  # |a - b| / |b| over the whole tensor


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The measured contest. Peers that are one program in several settings share the name before the comma."""

    case: str
    precision: str
    job: str
    fictile: Side
    peers: dict[str, Side]
    parity: dict[str, Parity]  # to each of the peers

    @property
    def fastest(self) -> list[str]:
        """Of each program among the peers the setting in which it is fastest."""
        programs = dict.fromkeys(name.partition(",")[0] for name in self.peers)
        return [
            min((name for name in self.peers if name.partition(",")[0] == program), key=self._median)
            for program in programs
        ]

    def ratios(self, peer: str) -> list[float]:
        """Time of Fictile / time of the peer in each round; below 1 Fictile is faster."""
        theirs = self.peers[peer].seconds
        return [our / their for our, their in zip(self.fictile.seconds, theirs, strict=True)]

    def ratio(self, peer: str) -> float:
        """The middle of the ratios."""
        return median(self.ratios(peer))

    def _median(self, peer: str) -> float:
        return self.peers[peer].median


@torch.inference_mode()
def hold(contest: Contest, rounds: int) -> Outcome:
    """Compare the results, then measure `rounds` rounds.

    The comparison and the measurement of memory run each contestant twice, which warms it up.

    Raises Unequal when a result differs from Fictile's by more than `TOLERANCE`.
    """
    ours = contest.fictile()
    parity = {name: compare(ours, run()) for name, run in contest.peers.items()}
    for name, one in parity.items():
        if not one.relative <= TOLERANCE[contest.precision]:  # so written, a NaN is refused too
            raise Unequal(
                f"{contest.case} in {contest.precision}: Fictile and {name} differ by {one.relative:.2g} of the result "
                f"({one.largest:.2g} at most), but {TOLERANCE[contest.precision]:g} is allowed; nothing was measured"
            )
    runs = {"fictile": contest.fictile, **contest.peers}
    memory = {name: growth(run) for name, run in runs.items()}
    seconds = alternate(runs, rounds)
    sides = {name: Side(seconds=seconds[name], memory=memory[name]) for name in runs}
    return Outcome(
        case=contest.case,
        precision=contest.precision,
        job=contest.job,
        fictile=sides.pop("fictile"),
        peers=sides,
        parity=parity,
    )


def alternate(
    runs: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each run in each round; in a round everyone runs once, in the order given."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return seconds


def compare(ours: Tensor, theirs: Tensor) -> Parity:
    """How far our result is from theirs, in double precision."""
    ours, theirs = ours.double(), theirs.double()
    apart = ours - theirs
    return Parity(largest=apart.abs().max().item(), relative=(apart.norm() / theirs.norm()).item())
