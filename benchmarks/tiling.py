"""Tiling: the SD1 decoder, with random weights, by diffusers as a whole and in its tiles, and in our bands.

Each run is a process of its own, so that its memory is its own. Seconds of the processor are worth something on a busy
machine too. The error is the largest against diffusers as a whole, as a share of its range.

    python -m benchmarks.tiling 512 1024 2048 --precision bf16 --threads 2
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.machine import this_machine
from benchmarks.memory import growth
from benchmarks.networks import strong
from benchmarks.peer import diffusers_autoencoder
from fictile.autoencoder import KL, KLSpec, tiling
from fictile.engine import PRECISIONS, choose_runtime

TILE = 512  # pixels, what Stable Diffusion 1 was trained on, and so what diffusers takes
SHARES = {"bands, 0.3": 0.3, "bands, 0.15": 0.15}  # of what diffusers takes as a whole
SPARE = 1.05  # of what is taken over what is planned, in bands of this size
WAYS = ("diffusers", "diffusers, its tiles", "untiled", *SHARES)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How all of them run."""

    precision: str
    threads: int
    whole: int | None = None  # bytes that diffusers took as a whole; as many as are counted, if it did not run

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and maps."""
        return PRECISIONS[self.precision]


def decoder() -> KL:
    """The same random weights each time."""
    torch.manual_seed(0)
    return strong(KLSpec()).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub lacks this form


def latent(side: int) -> Tensor:
    """A latent with a strong gradient from corner to corner."""
    cells = side // 8
    ramp = torch.linspace(-3, 3, cells)
    noise = torch.randn(1, 4, cells, cells, generator=torch.Generator().manual_seed(side))
    return noise + ramp[:, None] + ramp


def prepared(way: str, setting: Setting) -> Callable[[Tensor], Tensor]:
    """From a latent to pixels, in one of the `WAYS`."""
    network, dtype = decoder(), setting.dtype
    if way.startswith("diffusers"):
        other: Any = diffusers_autoencoder(network).eval()  # whose annotations know no Tensor
        layout = torch.contiguous_format if dtype == torch.float32 else torch.channels_last  # the faster one of each
        torch.nn.Module.to(other, dtype)
        other.to(memory_format=layout)
        if way == WAYS[1]:
            other.enable_tiling()
            other.tile_latent_min_size, other.tile_sample_min_size = TILE // 8, TILE
        return lambda z: other.decode(z, return_dict=False)[0]
    network.to(dtype)
    if way == "untiled":
        return network.decode
    return lambda z: tiling.decode(network, z, plan(network.spec, z.shape[-1] * 8, way, setting))


def plan(spec: KLSpec, side: int, way: str, setting: Setting) -> tiling.Plan:
    """The fastest within its share of memory."""
    size, dtype = (side, side), setting.dtype
    whole = setting.whole or tiling.untiled_memory(spec, size, dtype, encode=False)
    return tiling.make_plan(spec, size, dtype, encode=False, within=int(SHARES[way] * whole / SPARE))


def once(way: str, side: int, path: Path, setting: Setting) -> dict[str, Any]:
    """One run of this process: seconds and bytes; the pixels are left in a file."""
    decode, z, found = prepared(way, setting), latent(side).to(setting.dtype), dict[str, Any]()
    runtime = choose_runtime("cpu", setting.precision)

    def run() -> None:
        start, processor = time.perf_counter(), time.process_time()
        found["pixels"] = decode(z)
        found["seconds"] = time.perf_counter() - start
        found["processor"] = time.process_time() - processor

    with torch.inference_mode(), runtime.limited():
        decode(z[:, :, :8, :8])  # libraries are loaded, operations counted
        found["memory"] = growth(run)
    save_file({"pixels": found.pop("pixels").float().contiguous()}, path)
    return found


def table(sides: list[int], ways: list[str], setting: Setting) -> None:
    """Run all of them, and print a table for docs/tiling.md."""
    machine = this_machine()
    print(f"{machine.date} UTC; {machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), load {machine.load}")
    print(f"{setting.precision}, {setting.threads} threads\n")
    print("| side | way | seconds (of the processor) | memory, MiB | planned, MiB (operations) | largest error |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for side in sides:
            expected, here = None, setting
            for way in ways:
                path = Path(folder) / "pixels.safetensors"
                command = [sys.executable, "-m", "benchmarks.tiling", str(side), "--ways", way, "--once", str(path)]
                command += ["--precision", setting.precision, "--threads", str(setting.threads)]
                command += ["--whole", str(here.whole)] if here.whole else []
                child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found = json.loads(child.stdout.splitlines()[-1])
                pixels = load_file(path)["pixels"]
                if way == WAYS[0]:
                    expected, here = pixels, replace(setting, whole=found["memory"])
                error = (
                    ""
                    if expected is None
                    else f"{float((pixels - expected).abs().max() / (expected.max() - expected.min())):.1e}"
                )
                memory = found["memory"] and found["memory"] // 2**20
                seconds = f"{found['seconds']:.1f} ({found['processor']:.1f})"
                print(f"| {side} | {way} | {seconds} | {memory} | {planned(way, side, here)} | {error} |", flush=True)


def planned(way: str, side: int, setting: Setting) -> str:
    """MiB that were counted before the run, and operations as a multiple of an untiled run's."""
    with choose_runtime("cpu", setting.precision).limited():
        if way in SHARES:
            made = plan(KLSpec(), side, way, setting)
            return f"{made.memory // 2**20} ({made.effort:.2f} times)"
        whole = tiling.untiled_memory(KLSpec(), (side, side), setting.dtype, encode=False)
        return f"{whole // 2**20}" if way == "untiled" else ""


def main(
    sides: Annotated[list[int], typer.Argument(help="Heights and widths of the pictures.")],
    precision: Annotated[str, typer.Option(help="float32 or bf16.")] = "float32",
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
    ways: Annotated[str, typer.Option(help="Which of them, with semicolons.")] = ";".join(WAYS),
    once_into: Annotated[Path | None, typer.Option("--once", hidden=True)] = None,
    whole: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure a decode as a whole, in blended tiles and in bands."""
    setting = Setting(precision=precision, threads=threads, whole=whole)
    torch.set_num_threads(threads)
    if once_into:
        print(json.dumps(once(ways, sides[0], once_into, setting)))
    else:
        table(sides, ways.split(";"), setting)


if __name__ == "__main__":
    typer.run(main)
