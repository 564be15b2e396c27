"""Why it is slow: what the machine can do, what was chosen, how fast it really is, and what would help."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from fictile.engine.backend import COMPILED, EAGER, OPENVINO, choose_backend
from fictile.engine.machine import Machine, this_machine
from fictile.engine.runtime import PRECISIONS, Runtime, fast_dtype
from fictile.errors import RequestError

SIDE = 1024  # of the matrices that are multiplied
SECONDS = 0.4  # of each measurement
BUSY = 0.5  # processes beside ours, for each core, from which on the machine counts as busy
LITTLE = 4 << 30  # bytes of free memory below which a Stable Diffusion model hardly fits
EXTRAS: Mapping[str, str] = {
    "gguf": "gguf",
    "hub": "huggingface_hub",
    "openvino": "openvino",
    "train": "efficientnet_lite_pytorch",
}
"""The optional parts of Fictile, and a module of each."""
LESS_WORK: Mapping[str, str] = {
    "--speed fast": "0.67 of the time; nearly the same picture, 45.8 dB",
    "--speed faster": "0.57 of the time; 42.3 dB",
    "--speed fastest": "0.38 of the time; 36.5 dB",
    "--guidance-interval 0.15-0.85": "0.83 of the time; another picture of the same thing, 35.7 dB",
}
"""What leaves out work, and what docs/speed.md measured of it."""
DIRECT = "direct"
FEWER = "direct; wide ones in float32 with a quarter of the multiplications, about 1e-5 from the reference"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that makes work slow or impossible, and what to do about it."""

    seen: str
    advice: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `examine` found."""

    machine: Machine
    device: str
    precision: str
    why: str  # this precision
    backend: str
    convolutions: str
    threads: int
    speeds: dict[str, float]  # TFLOP/s of matrix products, by precision
    extras: dict[str, bool]  # whether each optional part is installed
    faster: dict[str, str]  # what may be asked for, and what it gave on a CPU with the packaged model
    findings: tuple[Finding, ...]


def examine(runtime: Runtime) -> Diagnosis:
    """Look at the machine, and measure for about a second how fast it multiplies matrices in each precision."""
    machine = this_machine()
    speeds = {name: matrix_speed(runtime.device, dtype) for name, dtype in _tried(runtime).items()}
    extras = {name: find_spec(module) is not None for name, module in EXTRAS.items()}
    return Diagnosis(
        machine=machine,
        device=str(runtime.device),
        precision=runtime.precision,
        why=_why(runtime, machine),
        backend=runtime.backend,
        convolutions=FEWER if runtime.convolves_fast else DIRECT,
        threads=runtime.threads,
        speeds=speeds,
        extras=extras,
        faster=faster(runtime, openvino=extras["openvino"], compiling=_compiles(runtime)),
        findings=findings(runtime, machine, speeds),
    )


def matrix_speed(device: torch.device, dtype: torch.dtype) -> float:
    """TFLOP/s of products of two square matrices, the best of as many as fit into a fraction of a second."""
    one, other = (torch.ones(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        (one @ other)[0, 0].item()  # waits for an accelerator too
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best / 1e12


def faster(runtime: Runtime, *, openvino: bool, compiling: bool) -> dict[str, str]:
    """What may be asked for to be faster, and what it gave; `openvino` says whether that is installed, and `compiling`
    whether torch's compiler can run."""
    found = {
        name: gain for name, gain in LESS_WORK.items() if runtime.backend == EAGER or not name.startswith("--speed")
    }
    if runtime.backend == EAGER and runtime.device.type == "cpu" and runtime.precision != "fp16":
        how = "try fictile doctor --backend openvino" if openvino else f"pip install 'fictile[{OPENVINO}]'"
        found["--backend openvino"] = (
            "a step 10 to 24 % faster in float32 on AVX2, but seconds lost at each start: for many pictures in one "
            f"run; {how}"
        )
    if runtime.backend == EAGER and runtime.device.type == "cpu" and compiling:
        found["--backend compiled"] = (
            "a step takes 0.81 of the time in float32 on AVX2, but minutes to compile each network once, and seconds "
            "lost at each start: for very many pictures in one run; try fictile doctor --backend compiled"
        )
    return found


def findings(runtime: Runtime, machine: Machine, speeds: Mapping[str, float]) -> tuple[Finding, ...]:
    """What stands in the way, the heaviest first."""
    found = list[Finding]()
    if runtime.device.type == "cpu" and machine.accelerators:
        found.append(
            Finding(
                seen=f"The CPU is used, although there is {machine.accelerators[0]}.",
                advice="Leave --device out, or give its name.",
            )
        )
    fastest = max(speeds, key=lambda name: speeds[name])
    if speeds[fastest] > 1.5 * speeds.get(runtime.precision, speeds[fastest]):
        found.append(
            Finding(
                seen=f"{fastest} multiplies {speeds[fastest] / speeds[runtime.precision]:.1f} times as fast here as "
                f"{runtime.precision}, which is used.",
                advice=f"Try --precision {fastest}.",
            )
        )
    if runtime.device.type == "cpu":
        found += _of_a_cpu(runtime, machine)
    if machine.free < LITTLE:
        found.append(
            Finding(
                seen=f"Only {machine.free / 2**30:.1f} GiB of {machine.memory / 2**30:.1f} GiB of memory are free.",
                advice="Close other programs; a machine that swaps is many times slower.",
            )
        )
    return tuple(found)


def _of_a_cpu(runtime: Runtime, machine: Machine) -> list[Finding]:
    found = list[Finding]()
    busy = machine.load > machine.cores * BUSY
    if busy:
        left = max(machine.cores - round(machine.load), 1)
        fewer = (
            f" Or set OMP_NUM_THREADS={left}: torch's threads wait for one another, and each for its core."
            if left < runtime.threads
            else ""
        )
        found.append(
            Finding(
                seen=f"{machine.load:.1f} processes wanted to run in the last minute, on {machine.cores} cores.",
                advice=f"Other programs take part of the time: wait for them, or close them.{fewer}",
            )
        )
    if runtime.threads < machine.cores and not busy:
        limited = "OMP_NUM_THREADS" in os.environ
        threads = "1 thread is" if runtime.threads == 1 else f"{runtime.threads} threads are"
        found.append(
            Finding(
                seen=f"{threads} used on {machine.cores} cores, as {'OMP_NUM_THREADS' if limited else 'torch'} says.",
                advice=f"{'Unset' if limited else 'Set'} OMP_NUM_THREADS, unless cores are kept for something else.",
            )
        )
    if runtime.precision == "float32" and not {"amx", "avx512_bf16"} & set(machine.instructions):
        found.append(
            Finding(
                seen="This CPU does not multiply bf16 in hardware (AMX or AVX512-BF16), so all runs in float32.",
                advice="Nothing to set: a CPU with AMX runs the networks about three times as fast.",
            )
        )
    return found


def _compiles(runtime: Runtime) -> bool:
    try:
        choose_backend(COMPILED, runtime.device, runtime.precision)
    except RequestError:
        return False
    return True


def _tried(runtime: Runtime) -> dict[str, torch.dtype]:
    """The precisions that are worth a measurement: fp16 is not made for CPUs."""
    return {name: dtype for name, dtype in PRECISIONS.items() if name != "fp16" or runtime.device.type != "cpu"}


def _why(runtime: Runtime, machine: Machine) -> str:
    if runtime.dtype != fast_dtype(runtime.device):
        return "it was asked for"
    if runtime.device.type != "cpu":
        return f"what {runtime.device.type} is made for"
    hardware = [name for name in ("amx", "avx512_bf16") if name in machine.instructions]
    return f"the CPU multiplies it in hardware ({hardware[0]})" if hardware else "the CPU has no faster one"
