"""How much memory a piece of work needs beside what is there already, as Linux tells it."""

import ctypes
from collections.abc import Callable
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # proc(5): resets the high-water mark VmHWM


def growth(run: Callable[[], object]) -> int | None:
    """Bytes by which the process grew at its largest while `run` ran; None where the system does not say.

    Memory that was freed before and is still held by the allocator is given back first, so that it counts again.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        CLEAR.write_text(FORGET_PEAK)
    except (OSError, AttributeError):
        run()
        return None
    before = status("VmRSS")
    run()
    return max(status("VmHWM") - before, 0)


def status(field: str) -> int:
    """Bytes of one line of /proc/self/status, which counts in kB."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024
