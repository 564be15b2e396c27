"""Tiling: the SD1 decoder, with random weights in float32, on whole pictures, in exact bands, and in blended tiles.

Each run is a process of its own, so that its memory is its own. Times are CPU seconds of one thread: they are worth
something on a busy machine too. The blended tiles are what other programs do (tiles that overlap by a
quarter); they are approximate, and measured for that.

    python -m benchmarks.tiling 512 1024 2048
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.machine import this_machine
from benchmarks.memory import growth
from fictile.autoencoder import KL, KLSpec, tiling

WAYS = ("untiled", "exact", "exact, half", "approximate")  # half of the memory of an untiled run
TILE, OVERLAP = 32, 8  # cells of the latent


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
    return torch.randn(1, 4, cells, cells) + ramp[:, None] + ramp


def decode(network: KL, z: Tensor, way: str) -> Tensor:
    """Pixels, in one of the `WAYS`."""
    if way == "untiled":
        return network.decode(z)
    if way == "approximate":
        return blended(network, z)
    size = z.shape[2] * 8, z.shape[3] * 8
    whole = tiling.untiled_memory(network.spec, size, z.dtype, encode=False)
    within = whole // 2 if way == WAYS[2] else None
    return tiling.decode(network, z, tiling.make_plan(network.spec, size, z.dtype, encode=False, within=within))


def blended(network: KL, z: Tensor) -> Tensor:
    """Tiles decoded one by one, and mixed where they overlap."""
    _, _, high, wide = z.shape
    total, weights = torch.zeros(1, 3, 8 * high, 8 * wide), torch.zeros(1, 1, 8 * high, 8 * wide)
    step = TILE - OVERLAP
    ramp = (torch.arange(8 * TILE) + 0.5).minimum(8 * TILE - torch.arange(8 * TILE) - 0.5).clamp(max=8 * OVERLAP)
    for top in range(0, max(high - OVERLAP, 1), step):
        for left in range(0, max(wide - OVERLAP, 1), step):
            pixels = network.decode(z[:, :, top : top + TILE, left : left + TILE])
            rows, columns = pixels.shape[2:]
            weight = ramp[:rows, None] * ramp[:columns]
            place = (..., slice(8 * top, 8 * top + rows), slice(8 * left, 8 * left + columns))
            total[place] += pixels * weight
            weights[place] += weight
    return total / weights


def once(way: str, side: int, path: Path) -> dict[str, Any]:
    """One run of this process: CPU seconds and bytes; the pixels are left in a file."""
    network, z, found = decoder(), latent(side), dict[str, Any]()
    decode(network, latent(64), way)  # libraries are loaded and warm

    def run() -> None:
        start = time.process_time()
        found["pixels"] = decode(network, z, way)
        found["seconds"] = time.process_time() - start

    with torch.inference_mode():
        found["memory"] = growth(run)
    save_file({"pixels": found.pop("pixels").contiguous()}, path)
    return found


def table(sides: list[int], ways: tuple[str, ...] = WAYS) -> None:
    """Run all of them, and print a table for docs/tiling.md."""
    machine = this_machine()
    print(f"{machine.date} UTC; {machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), load {machine.load}")
    print("\n| side | way | CPU seconds | memory, MiB | forecast, MiB | largest error, of the range |")
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


def forecast(way: str, side: int) -> int | str:
    """MiB that were counted before the run."""
    size, spec = (side, side), KLSpec()
    whole = tiling.untiled_memory(spec, size, torch.float32, encode=False)
    if way in WAYS[1:3]:
        within = whole // 2 if way == WAYS[2] else None
        return tiling.make_plan(spec, size, torch.float32, encode=False, within=within).memory // 2**20
    return whole // 2**20 if way == "untiled" else ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "--once":
        print(json.dumps(once(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))))
    else:
        table([int(side) for side in sys.argv[1:]])
