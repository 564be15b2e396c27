"""How long a command takes from nothing: fresh processes of the packaged model, with nobody beside them.

What the system keeps of files is warm, as it is for whoever runs a command twice.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.cases import PROMPT, Scale
from benchmarks.contest import Outcome, Side

RUN = "import sys; from fictile.cli import main; sys.argv[0] = 'fictile'; main()"  # as the installed command does
CASES = ("start-help", "start-picture")


def hold_starts(case: str, precision: str, scale: Scale, rounds: int) -> Outcome:
    """Measure one of the `CASES`: `rounds` processes after one that warms the system up."""
    with TemporaryDirectory() as folder:
        picture = ["generate", PROMPT, "--steps", str(scale.steps), "--precision", precision, "-o", "picture.png"]
        arguments = ["--help"] if case == CASES[0] else picture
        _, *seconds = [fresh(arguments, Path(folder)) for _ in range(rounds + 1)]
    job = "the command's help" if case == CASES[0] else f"one picture of {scale.steps} steps, saved as PNG"
    return Outcome(
        case=case,
        precision=precision,
        job=f"{job}, by a fresh process",
        fictile=Side(seconds=seconds, memory=None),
        peers={},
        parity={},
    )


def fresh(arguments: list[str], folder: Path) -> float:
    """Seconds that a process takes from its start to its end."""
    for old in folder.iterdir():
        old.unlink()
    command = [sys.executable, "-c", RUN, *arguments]
    environment = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, check=True)
    return time.perf_counter() - start
