"""scripts/bench: measure, show, keep."""

import gc
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.cases import CASES, FULL, QUICK
from benchmarks.contest import TOLERANCE, Outcome, Unequal, hold
from benchmarks.loading import CASE as LOADING
from benchmarks.loading import hold_loads
from benchmarks.machine import this_machine
from benchmarks.plot import draw
from benchmarks.report import markdown, publish, show, write_json
from benchmarks.starting import CASES as STARTS
from benchmarks.starting import hold_starts
from fictile.errors import FictileError, RequestError

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PLOT = PAGE.parent / "images" / "benchmarks.svg"
NAMES = [*CASES, LOADING, *STARTS]
QUIET = 0.3  # processes beside us

console = Console(stderr=True)


def main(
    cases: Annotated[str, typer.Option(help=f"Which of {', '.join(NAMES)}; several with commas.")] = ",".join(NAMES),
    precisions: Annotated[str, typer.Option(help="float32, bf16, or both with a comma.")] = "float32,bf16",
    rounds: Annotated[int, typer.Option(min=1, help="How often each side runs, after two runs to warm up.")] = 7,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch, on both sides.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of another model for `packaged`.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny jobs, to see that all runs; writes nothing.")] = False,
    to_docs: Annotated[bool, typer.Option("--publish", help="Also put the table into docs/benchmarks.md.")] = False,
) -> None:
    """Fictile beside diffusers on this machine's CPU; ratios below 1 mean that Fictile is faster.

    The full run takes about 16 GB of memory and a quarter of an hour on two cores; leave the machine alone meanwhile.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        measure(chosen(cases, NAMES), chosen(precisions, [*TOLERANCE]), rounds, model, quick=quick, to_docs=to_docs)
    except (Unequal, FictileError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error


def measure(
    cases: list[str], precisions: list[str], rounds: int, model: Path | None, *, quick: bool, to_docs: bool
) -> None:
    """Hold the contests one after the other and report them."""
    machine = this_machine()
    if machine.load > QUIET:
        console.print(f"Other work is running (load {machine.load:g}): these figures will be rough.", style="yellow")
    outcomes: list[Outcome] = []
    for case in cases:
        for precision in precisions[:1] if case == STARTS[0] else precisions:
            console.print(f"{case} in {precision}...")
            scale = QUICK if quick else FULL
            if case == LOADING:
                outcomes.append(hold_loads(precision, scale, rounds))
            elif case in STARTS:
                outcomes.append(hold_starts(case, precision, scale, rounds))
            else:
                outcomes.append(hold(CASES[case](precision, scale, model), rounds))
            gc.collect()  # the networks of this contest go before the next ones come
    show(machine, outcomes)
    if quick:
        return
    console.print(f"Every figure is in {write_json(machine, outcomes, RESULTS)}.")
    if to_docs:
        publish(markdown(machine, outcomes), PAGE)
        draw(machine, outcomes, PLOT)


def chosen(names: str, known: list[str]) -> list[str]:
    """The names between the commas; RequestError for one that is not known."""
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in known:
            raise RequestError(f'There is no "{name}": choose from {", ".join(known)}.')
    return wanted


if __name__ == "__main__":
    typer.run(main)
