"""Whether memory that is freed goes back to the system, or is kept for what is asked for next.

The malloc of glibc gives a large block a mapping of its own, which the system fills with zeros, page by page, and takes
back when it is freed. What is large begins at 128 KiB, but with every such block that is freed the threshold grows to
its size, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD); smaller blocks come from a heap.

- Bands are small, and aligned blocks hardly ever fit into the holes of their like: a run that held 47 MiB was seen to
  take 500. Inside `given_back` the threshold stays where it began.
- The steps of a U-Net ask for the same blocks again and again, and some are larger than the 32 MiB: the system filled
  three times as much as a step ever held, for a twentieth of its time. Inside `kept` they come from the heap too, and
  what is free at its end goes back. It is not for a decoder, whose maps grow: in the holes of the smaller ones the
  larger ones find no room, and the process grew half as much again.

Where the C library is not glibc, neither does anything.
"""

import ctypes
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
FIRST, LAST = 2**17, 2**25  # bytes: where glibc's threshold begins and what it grows to, on 64 bits
ALL = 2**30  # bytes: a threshold that hardly any map is above; twice as many is more than mallopt can be told

_asked: Counter[int] = Counter()  # for each threshold, by how many that are at work
_lock = Lock()


@contextmanager
def given_back() -> Generator[None]:
    """What is freed inside is given back at once, and what was freed before is given back first.

    It has its way inside `kept`, and beside it in another thread.
    """
    with _threshold(FIRST):
        trim()
        yield


@contextmanager
def kept() -> Generator[None]:
    """What is freed inside is kept for whoever asks next, and given back at the end."""
    try:
        with _threshold(ALL):
            yield
    finally:
        trim()


def trim() -> None:
    """Give back what malloc holds free (malloc_trim(3))."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@contextmanager
def _threshold(size: int) -> Generator[None]:
    _ask(size, 1)
    try:
        yield
    finally:
        _ask(size, -1)


def _ask(size: int, change: int) -> None:
    """Note who is at work, and set the smallest threshold that someone asked for."""
    with _lock:
        _asked[size] += change
        wanted = min((one for one, count in _asked.items() if count > 0), default=LAST)
        if (libc := _glibc()) is not None:
            libc.mallopt(MMAP_THRESHOLD, wanted)
            libc.mallopt(TRIM_THRESHOLD, min(2 * wanted, 2**31 - 1))  # as glibc itself relates the two


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
