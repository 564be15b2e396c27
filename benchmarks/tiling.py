"""Tiling: the SD1 decoder, with random weights in float32, by diffusers as a whole and in its tiles, and in our bands.

Each run is a process of its own, so that its memory is its own, with one thread. Times are CPU seconds: they are worth
something on a busy machine too. The error is the largest against diffusers as a whole, as a share of its range.

    python -m benchmarks.tiling 512 1024 2048
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.machine import this_machine
from benchmarks.memory import growth
from benchmarks.peer import diffusers_autoencoder
from fictile.autoencoder import KL, KLSpec, tiling

TILE = 512  # pixels, what Stable Diffusion 1 was trained on, and so what diffusers takes
SHARES = {"bands, a half": 0.5, "bands, a quarter": 0.25, "bands, 0.15": 0.15}  # of an untiled run's memory
WAYS = ("diffusers", "diffusers, its tiles", "untiled", *SHARES)


def decoder() -> KL:
    """The same random weights each time. They are scaled as He et al. do, so that a signal keeps its strength."""
    torch.manual_seed(0)
    network = KL(KLSpec()).requires_grad_(False).eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub lacks this form


def latent(side: int) -> Tensor:
    """A latent with a strong gradient from corner to corner."""
    cells = side // 8
    ramp = torch.linspace(-3, 3, cells)
    noise = torch.randn(1, 4, cells, cells, generator=torch.Generator().manual_seed(side))
    return noise + ramp[:, None] + ramp


def prepared(way: str) -> Callable[[Tensor], Tensor]:
    """From a latent to pixels, in one of the `WAYS`."""
    network = decoder()
    if way.startswith("diffusers"):
        other: Any = diffusers_autoencoder(network).eval()  # whose annotations know no Tensor
        other.to(memory_format=torch.contiguous_format)
        if way == WAYS[1]:
            other.enable_tiling()
            other.tile_latent_min_size, other.tile_sample_min_size = TILE // 8, TILE
        return lambda z: other.decode(z, return_dict=False)[0]
    if way == "untiled":
        return network.decode
    return lambda z: tiling.decode(network, z, plan(network.spec, z.shape[-1] * 8, way))


def plan(spec: KLSpec, side: int, way: str) -> tiling.Plan:
    """The fastest within its share of memory."""
    size = side, side
    whole = tiling.untiled_memory(spec, size, torch.float32, encode=False)
    return tiling.make_plan(spec, size, torch.float32, encode=False, within=int(SHARES[way] * whole))


def once(way: str, side: int, path: Path) -> dict[str, Any]:
    """One run of this process: CPU seconds and bytes; the pixels are left in a file."""
    decode, z, found = prepared(way), latent(side), dict[str, Any]()

    def run() -> None:
        start = time.process_time()
        found["pixels"] = decode(z)
        found["seconds"] = time.process_time() - start

    with torch.inference_mode():
        decode(latent(64))  # libraries are loaded, operations counted
        found["memory"] = growth(run)
    save_file({"pixels": found.pop("pixels").contiguous()}, path)
    return found


def table(sides: list[int], ways: tuple[str, ...] = WAYS) -> None:
    """Run all of them, and print a table for docs/tiling.md."""
    machine = this_machine()
    print(f"{machine.date} UTC; {machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), load {machine.load}")
    print("\n| side | way | CPU seconds | memory, MiB | forecast, MiB (operations) | largest error, of the range |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for side in sides:
            expected = None
            for way in ways:
                path = Path(folder) / "pixels.safetensors"
                command = [sys.executable, "-m", "benchmarks.tiling", "--once", way, str(side), str(path)]
                child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found = json.loads(child.stdout.splitlines()[-1])
                pixels = load_file(path)["pixels"]
                expected = pixels if way == WAYS[0] else expected
                error = (
                    ""
                    if expected is None
                    else f"{float((pixels - expected).abs().max() / (expected.max() - expected.min())):.1e}"
                )
                memory = found["memory"] and found["memory"] // 2**20
                print(
                    f"| {side} | {way} | {found['seconds']:.1f} | {memory} | {forecast(way, side)} | {error} |",
                    flush=True,
                )


def forecast(way: str, side: int) -> str:
    """MiB that were counted before the run, and operations as a multiple of an untiled run's."""
    if way in SHARES:
        made = plan(KLSpec(), side, way)
        return f"{made.memory // 2**20} ({made.effort:.2f} times)"
    whole = tiling.untiled_memory(KLSpec(), (side, side), torch.float32, encode=False)
    return f"{whole // 2**20}" if way == "untiled" else ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--once":
        print(json.dumps(once(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))))
    else:
        table([int(side) for side in sys.argv[1:]])
