"""The forecast beside the run: peak memory and time of requests, each in a process of its own.

The forecast comes from the headers of the model's files, in one process; the run starts in another, and its peak is
what the system says of it. Random models have the sizes of Stable Diffusion 1.5, or a part of them. Forecasts of time
are of an idle machine: with one thread (OMP_NUM_THREADS=1) they are set beside the seconds of the processor, which
other programs disturb little, else beside those that pass. Memory other programs do not disturb at all.

    python -m benchmarks.planning packaged middle
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.machine import this_machine
from benchmarks.memory import status
from fictile.autoencoder import KL, KLAutoencoder, KLSpec, Normalisation
from fictile.checkpoint import Defaults, Parts, save_model
from fictile.denoiser import EXACT, Denoiser, UNet, UNetSpec
from fictile.schedule import DDPM
from fictile.text import TextEncoder, TextSpec, TextTransformer, Tokenizer

PROMPT = "a fox wearing a crown"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request to a model."""

    side: int
    count: int = 1
    steps: int
    tiling: str = "auto"
    speed: str = EXACT
    interval: tuple[float, float] | None = None


CASES: Mapping[str, tuple[Case, ...]] = {
    "packaged": (
        Case(side=256, steps=20),
        Case(side=256, count=4, steps=6),
        Case(side=512, steps=6),
        Case(side=256, steps=20, speed="fast"),
        Case(side=256, steps=20, speed="faster", interval=(0.15, 0.85)),
    ),
    "small": (Case(side=256, steps=6), Case(side=256, count=4, steps=3)),
    "middle": (Case(side=256, steps=3), Case(side=512, steps=2)),
    "sd15": (Case(side=512, steps=2),),
}
SPECS: Mapping[str, tuple[UNetSpec, KLSpec, int]] = {
    "small": (
        UNetSpec(widths=(32, 64, 128, 128), heads=(1, 2, 4, 4), groups=16, context_width=64),
        KLSpec(widths=(32, 64, 128, 128)),
        64,
    ),
    "middle": (UNetSpec(widths=(128, 256, 512, 512), context_width=256), KLSpec(), 256),
    "sd15": (UNetSpec(), KLSpec(), 768),
}
"""U-Net, autoencoder, and the width of the text transformer: SD1.5's own with the last, parts of it with the others."""


def write(name: str, folder: Path) -> Path:
    """A random model of these sizes."""
    unet, kl, width = SPECS[name]
    torch.manual_seed(0)
    tokenizer = Tokenizer.train((PROMPT,), vocabulary=280, context=77)
    text = TextSpec(
        vocabulary=tokenizer.vocabulary,
        width=width,
        heads=width // 64,
        context=77,
        begin=tokenizer.begin,
        end=tokenizer.end,
        pad=tokenizer.pad,
    )
    autoencoder = KLAutoencoder(KL(kl), Normalisation((1.0,) * 4, (0.0,) * 4), name)
    parts = Parts(
        name=name,
        autoencoder=autoencoder,
        text=TextEncoder(tokenizer, TextTransformer(text)),
        denoiser=Denoiser(UNet(unet), DDPM(), "eps", autoencoder.space),
        defaults=Defaults(),
    )
    save_model(parts, folder)
    return folder


def foretell(model: Path | None, case: Case) -> dict[str, float]:
    """What the plan says: bytes and seconds."""
    from fictile.engine import choose_runtime
    from fictile.planning import make_plan, opened_outline, request_for

    parts = opened_outline(model)
    size = case.side, case.side
    request = request_for(
        parts,
        PROMPT,
        size=size,
        count=case.count,
        steps=case.steps,
        tiling=case.tiling,
        speed=case.speed,
        interval=case.interval,
    )
    plain = make_plan(parts, request, choose_runtime()).plain
    return {"memory": plain.peak.memory, "seconds": plain.seconds}


def run(model: Path | None, case: Case) -> dict[str, float]:
    """What happens: bytes of the process at its largest, and seconds of loading and drawing."""
    from fictile.loading import load

    began, busy = time.perf_counter(), time.process_time()
    size = case.side, case.side
    maker = load(model)
    maker.generate(
        PROMPT,
        seed=0,
        size=size,
        count=case.count,
        steps=case.steps,
        tiling=case.tiling,
        speed=case.speed,
        guidance=maker.defaults.guided(None, case.interval),
    )
    return {
        "memory": status("VmHWM"),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - busy,
    }


def in_a_process(what: str, model: Path | None, case: Case) -> dict[str, float]:
    """One of the two functions above, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.planning", "--once", what, str(model or ""), json.dumps(asdict(case))]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout.splitlines()[-1])


def table(names: list[str]) -> None:
    """Run all cases of these models, and print a table for docs/planning.md."""
    machine = this_machine()
    print(f"{machine.date} UTC; {machine.cpu}, {machine.threads} threads, load {machine.load}\n")
    print("| model | request | memory: forecast, MiB | measured | ratio | time: forecast, s | passed | CPU | ratio |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with TemporaryDirectory() as folder:
        for name in names:
            model = write(name, Path(folder) / name) if name in SPECS else None
            for case in CASES[name]:
                said, found = (in_a_process(what, model, case) for what in ("foretell", "run"))
                request = f"{case.side}x{case.side}, {case.count} of {case.steps} steps"
                request += f", {case.speed}" * (case.speed != EXACT) + f", {case.interval}" * bool(case.interval)
                passed = found["cpu" if machine.threads == 1 else "seconds"]
                print(
                    f"| {name} | {request} | {said['memory'] / 2**20:.0f} | {found['memory'] / 2**20:.0f} "
                    f"| {said['memory'] / found['memory']:.2f} | {said['seconds']:.2f} | {found['seconds']:.2f} "
                    f"| {found['cpu']:.2f} | {said['seconds'] / passed:.2f} |",
                    flush=True,
                )


def once(what: str, model: str, case: str) -> None:
    """Run one function in this process, and print what it found."""
    chosen: dict[str, Any] = {"foretell": foretell, "run": run}
    print(json.dumps(chosen[what](Path(model) if model else None, Case(**json.loads(case)))))


if __name__ == "__main__":
    if sys.argv[1] == "--once":
        once(*sys.argv[2:])
    else:
        table(sys.argv[1:])
