"""How fast this machine computes: measured once, in a few seconds, and kept."""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from fictile.engine.counting import Work, attention_operations
from fictile.engine.machine import this_machine
from fictile.engine.runtime import Runtime, precision_name
from fictile.errors import FictileError
from fictile.files import cache_folder, written_whole

TRIES = 5  # of each measurement; the fastest counts
LEAST, MOST = 0.01, 4096  # seconds of each try, or runs


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one device computes in one precision with so many threads."""

    matrix: float  # floating-point operations in a second
    convolution: float
    attention: float
    touched: float  # bytes in a second, in blocks of a few MiB: others share the caches of larger ones
    fresh: float  # bytes in a second that the system gives anew, which takes time beside writing them
    calls: float  # operations in a second that have next to nothing to do
    laid: float  # bytes in a second of weights in float32, as float16 is widened and laid channels last
    hashed: float  # bytes of files in a second whose SHA-256 is taken

    def seconds(self, work: Work) -> float:
        """How long the work takes, with nothing else going on."""
        return sum(getattr(work, name) / rate for name, rate in asdict(self).items())


def calibrate(runtime: Runtime, dtype: torch.dtype, path: Path | None = None) -> Rates:
    """The rates of this machine: those that were kept in `path` (in the user's cache, if None), else measured now.

    A file that cannot be read or written is no failure: it is measured again.
    """
    path = path or cache_folder() / "rates.json"
    known, key = _read(path), _key(runtime, dtype)
    with suppress(TypeError, KeyError):
        return Rates(**known[key])
    with runtime.limited(), torch.no_grad():
        rates = measure(runtime.device, dtype)
    with suppress(OSError, FictileError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps({**known, key: asdict(rates)}, indent=2) + "\n", encoding="utf-8")
    return rates


def measure(device: torch.device, dtype: torch.dtype) -> Rates:
    """The rates, from operations of the sizes that networks for pictures have."""

    def made(*shape: int) -> torch.Tensor:
        return torch.ones(shape, device=device, dtype=dtype)

    rows, weight = made(1024, 512), made(512, 512)
    picture = made(1, 128, 32, 32).contiguous(memory_format=torch.channels_last)
    kernel = made(128, 128, 3, 3).contiguous(memory_format=torch.channels_last)
    attend = F.scaled_dot_product_attention
    heads, large, huge, small = made(1, 8, 1024, 64), made(1 << 20), made(1 << 24), made(1, 16, 2, 2)
    stored, filed = torch.ones(512, 512, 3, 3, dtype=torch.float16), bytes(1 << 20)
    widened = 2 * stored.nbytes
    layers = nn.Sequential(nn.GroupNorm(1, 16), nn.SiLU(), nn.Conv2d(16, 16, 1)).to(device, dtype)
    touching = _fastest(lambda: F.silu(large)) / (2 * large.nbytes)
    giving = _fastest(lambda: F.silu(huge)) - touching * 2 * huge.nbytes
    return Rates(
        matrix=2 * 1024 * 512 * 512 / _fastest(lambda: rows @ weight),
        convolution=2 * 128 * 128 * 9 * 1024 / _fastest(lambda: F.conv2d(picture, kernel, padding=1)),
        attention=attention_operations(heads.shape, heads.shape) / _fastest(lambda: attend(heads, heads, heads)),
        touched=1 / touching,
        fresh=huge.nbytes / max(giving, touching),  # an accelerator keeps what it was given, and takes next to nothing
        calls=len(layers) / _fastest(lambda: layers(small)),
        laid=widened / _fastest(lambda: stored.float().to(memory_format=torch.channels_last)),
        hashed=len(filed) / _fastest(lambda: hashlib.sha256(filed).digest()),
    )


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of one run in the fastest of several tries, each of many runs, the first of which makes ready. The tries
    are short, so that other programs leave some of them alone.

    With one thread on a CPU it is the thread's own time, which other programs do not lengthen. Of several threads that
    time would say less: not every operation computes in all of them, and some wait for work busily.
    """
    found, runs, clock = list[float](), 1, time.perf_counter
    while len(found) <= TRIES:
        began = clock()
        for _ in range(runs - 1):
            run()
        made = run()
        if isinstance(made, torch.Tensor):
            made.flatten()[0].item()  # waits for an accelerator too
        passed = clock() - began
        if torch.get_num_threads() == 1 and not (isinstance(made, torch.Tensor) and made.device.type != "cpu"):
            clock = time.thread_time
        if passed < LEAST and runs < MOST:
            runs = min(2 * runs, MOST)
        else:
            found.append(passed)
    return min(found[1:]) / runs


def _key(runtime: Runtime, dtype: torch.dtype) -> str:
    machine = this_machine()
    where = machine.cpu if runtime.device.type == "cpu" else f"{runtime.device}, {', '.join(machine.accelerators)}"
    return f"{where}, {runtime.threads} threads, {precision_name(dtype)}, torch {torch.__version__}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
