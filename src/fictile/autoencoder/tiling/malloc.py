"""Memory that is freed goes back to the system, where the C library would rather keep it.

The malloc of glibc gives a large block a mapping of its own. What is large begins at 128 KiB, but with every such block
that is freed the threshold grows to its size, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD); smaller blocks come from a
heap. Bands are smaller, and aligned blocks hardly ever fit into the holes of their like: a run that held 47 MiB was
seen to take 500. Inside `exact_malloc` the threshold stays where it began.
"""

import ctypes
import sys
from collections.abc import Generator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
FIRST, LAST = 2**17, 2**25  # bytes: where glibc's threshold begins and what it grows to, on 64 bits


@contextmanager
def exact_malloc() -> Generator[None]:
    """What is freed inside is given back at once, and what was freed before is given back first.

    Where the C library is not glibc, nothing happens.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    assert libc is not None, "nothing has no attributes"
    libc.malloc_trim(0)
    _set_threshold(libc, FIRST)
    try:
        yield
    finally:
        _set_threshold(libc, LAST)


def _set_threshold(libc: ctypes.CDLL, size: int) -> None:
    libc.mallopt(MMAP_THRESHOLD, size)
    libc.mallopt(TRIM_THRESHOLD, 2 * size)  # as glibc itself relates the two
