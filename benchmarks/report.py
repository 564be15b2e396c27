"""The outcomes, for people on a terminal, for the documentation, and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.contest import Outcome
from benchmarks.machine import Machine

COLUMNS = ("case", "precision", "fictile", "peer", "ratio", "of all rounds", "memory (MiB)", "difference")
WIDTH = 120  # of the table where there is no terminal
BEGIN, END = "<!-- results: scripts/bench --publish -->", "<!-- end of results -->"


def show(machine: Machine, outcomes: Sequence[Outcome]) -> None:
    """The table on stdout."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(*COLUMNS)
    for outcome in outcomes:
        for line in rows(outcome):
            table.add_row(*line)
    console.print(caption(machine), table, *jobs(outcomes), sep="\n", highlight=False)


def markdown(machine: Machine, outcomes: Sequence[Outcome]) -> str:
    """The same for the documentation."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(line for outcome in outcomes for line in rows(outcome))]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([caption(machine), table, "\n".join(f"- {job}" for job in jobs(outcomes))]) + "\n"


def write_json(machine: Machine, outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Every single figure, into a file that is named after the date and the machine."""
    document = {
        "machine": asdict(machine),
        "outcomes": [
            {**asdict(one), "ratios": {peer: one.ratios(peer) for peer in one.peers}, "fastest": one.fastest}
            for one in outcomes
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{machine.slug}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def publish(text: str, page: Path) -> None:
    """Put the text between the two marks of the page, in place of what is there."""
    before, found, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def caption(machine: Machine) -> str:
    """Where and when, in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return (
        f"{machine.date} UTC; {machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), "
        f"{machine.memory:g} GiB; {machine.system}; {versions}; "
        f"{machine.threads} threads, load {machine.load:g} before"
    )


def jobs(outcomes: Sequence[Outcome]) -> list[str]:
    """What each case computes, once."""
    return list(dict.fromkeys(f"{one.case}: {one.job}" for one in outcomes))


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """A line of the table for each program beside Fictile, or one of Fictile alone, in the order of `COLUMNS`."""
    ours = (outcome.case, outcome.precision, seconds(outcome.fictile.median))
    if not outcome.peers:
        return [(*ours, "", "", "", "", "")]
    return [
        (
            *ours,
            f"{seconds(outcome.peers[peer].median)} ({peer})",
            f"{outcome.ratio(peer):.3f}",
            f"{min(outcome.ratios(peer)):.3f} to {max(outcome.ratios(peer)):.3f}",
            f"{mebibytes(outcome.fictile.memory)} / {mebibytes(outcome.peers[peer].memory)}",
            f"{outcome.parity[peer].largest:.1g}",
        )
        for peer in outcome.fastest
    ]


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def mebibytes(count: int | None) -> str:
    """An amount of memory, as the heading counts it."""
    return "?" if count is None else f"{count / 2**20:.0f}"
