"""Large pages of memory: one decode and one step of Stable Diffusion 1.5's size with and without them.

torch reads once whether it shall ask for them, so that each way is a process of its own. The processes take turns: in
each round one run of each is timed.

    python -m benchmarks.pages --precision bf16 --rounds 7
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from statistics import median
from typing import Annotated, Any

import torch
import typer

from benchmarks.cases import FULL, NETWORKS, QUICK
from benchmarks.machine import this_machine
from benchmarks.memory import growth
from benchmarks.networks import as_for_users, eager
from fictile.engine import PRECISIONS

WAYS = {"4 KiB": "0", "large": "1"}  # what the variable says


def serve(case: str, precision: str, *, quick: bool) -> None:
    """One way: tells what a run needs beside the weights, and then how long one takes, each time it is asked."""
    work = NETWORKS[case](QUICK if quick else FULL)
    with torch.inference_mode():
        run = as_for_users(eager(work.ours, PRECISIONS[precision], torch.channels_last), precision)
        run()
        print(json.dumps(growth(run)), flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            run()
            print(json.dumps(time.perf_counter() - start), flush=True)


def measured(case: str, precision: str, rounds: int, *, quick: bool) -> dict[str, tuple[int, list[float]]]:
    """Of each way the bytes that a run needs, and the seconds of each round."""
    command = [sys.executable, "-m", "benchmarks.pages", "--serve", case, "--precision", precision]
    command += ["--quick"] if quick else []
    with ExitStack() as stack:
        children = {
            way: stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "THP_MEM_ALLOC_ENABLE": switch},
                )
            )
            for way, switch in WAYS.items()
        }
        found: dict[str, tuple[int, list[float]]] = {way: (_told(child), []) for way, child in children.items()}
        for _ in range(rounds):
            for way, child in children.items():
                assert child.stdin is not None, "it is a pipe"
                child.stdin.write("\n")
                child.stdin.flush()
                found[way][1].append(_told(child))
    return found


def _told(child: "subprocess.Popen[str]") -> Any:
    assert child.stdout is not None, "it is a pipe"
    return json.loads(child.stdout.readline())


def main(
    precision: Annotated[str, typer.Option(help="float32 or bf16.")] = "float32",
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    cases: Annotated[str, typer.Option(help="Which of them, with commas.")] = "sd15-unet,sd15-decode,sd15-encode",
    quick: Annotated[bool, typer.Option("--quick", help="Tiny networks, to see that all runs.")] = False,
    served: Annotated[str | None, typer.Option("--serve", hidden=True)] = None,
) -> None:
    """Measure what large pages of memory save and cost."""
    if served:
        serve(served, precision, quick=quick)
        return
    machine = this_machine()
    print(f"{machine.date} UTC; {machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), load {machine.load}")
    print(f"{precision}, {torch.get_num_threads()} threads\n")
    print("| case | pages | seconds | of those with 4 KiB | memory, MiB |")
    print("|---|---|---|---|---|")
    for case in cases.split(","):
        found = measured(case, precision, rounds, quick=quick)
        (_, small), *_ = found.values()
        for way, (memory, seconds) in found.items():
            ratio = median(one / other for one, other in zip(seconds, small, strict=True))
            mib = memory and memory // 2**20
            print(f"| {case} | {way} | {median(seconds):.2f} | {ratio:.2f} | {mib} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
