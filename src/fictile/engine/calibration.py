"""How fast this machine computes: measured once, in a few seconds, and kept."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from fictile.engine.counting import Work, attention_operations
from fictile.engine.machine import this_machine
from fictile.engine.runtime import Runtime, precision_name
from fictile.errors import FictileError
from fictile.files import cache_folder, written_whole

TRIES = 3  # of each measurement; the fastest counts
MANY = 400  # calls of the smallest operation


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one device computes in one precision with so many threads."""

    matrix: float  # floating-point operations in a second
    convolution: float
    attention: float
    touched: float  # bytes in a second, of what does not stay in the caches
    calls: float  # operations in a second that have next to nothing to do

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
    heads, large, small = made(1, 8, 1024, 64), made(1 << 22), made(16)
    return Rates(
        matrix=2 * 1024 * 512 * 512 / _fastest(lambda: rows @ weight),
        convolution=2 * 128 * 128 * 9 * 1024 / _fastest(lambda: F.conv2d(picture, kernel, padding=1)),
        attention=attention_operations(heads.shape, heads.shape) / _fastest(lambda: attend(heads, heads, heads)),
        touched=2 * large.nbytes / _fastest(lambda: F.silu(large)),
        calls=MANY / _fastest(lambda: [small + small for _ in range(MANY)][-1]),
    )


def _fastest(run: Callable[[], torch.Tensor]) -> float:
    """Seconds of the fastest of several runs, the first of which makes ready. On a CPU these are the process's own, of
    all its threads, shared out among them, so that other programs do not make the machine look slow.
    """
    found = list[float]()
    for _ in range(1 + TRIES):
        began, busy = time.perf_counter(), time.process_time()
        answer = run()
        answer.flatten()[0].item()  # waits for an accelerator too
        passed, own = time.perf_counter() - began, (time.process_time() - busy) / torch.get_num_threads()
        found.append(own if answer.device.type == "cpu" else passed)
    return min(found[1:])


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
