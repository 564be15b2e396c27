"""The ratios as a picture: a bar from 1 to where Fictile is, a line over what its rounds were."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.contest import Outcome
from benchmarks.machine import Machine

FASTER, SLOWER, LINE = "#1b7f3b", "#c0392b", "#333333"


def draw(machine: Machine, outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the plot, in the format that the name ends in."""
    bars = [(one, peer) for one in outcomes for peer in one.fastest]
    figure = Figure(figsize=(9, 1.3 + 0.34 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for place, (one, peer) in enumerate(bars):
        ratios, middle = one.ratios(peer), one.ratio(peer)
        axes.barh(place, middle - 1, left=1, height=0.6, color=FASTER if middle <= 1 else SLOWER)
        axes.plot([min(ratios), max(ratios)], [place, place], color=LINE, linewidth=1)
        axes.text(max(*ratios, 1) * 1.02, place, f"{middle:.2f}", va="center", fontsize=8)
    axes.axvline(1, color=LINE, linewidth=0.8)
    axes.set_yticks(range(len(bars)), [f"{one.case}, {one.precision}\nbeside {peer}" for one, peer in bars], fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5), max(high * 1.1, 1.5))
    marks = [mark for mark in (0.25, 0.5, 0.7, 1, 1.5, 2, 3) if axes.get_xlim()[0] <= mark <= axes.get_xlim()[1]]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.set_xlabel("time of Fictile / time of the peer: left of 1 Fictile is faster")
    axes.set_title(f"{machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), {machine.date} UTC", fontsize=9)
    with mpl.rc_context({"svg.hashsalt": "fictile"}):  # the same figures give the same file
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
