"""Signals that go on working when a library has set up its own stack for them."""

import ctypes
import sys
from collections.abc import Generator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """stack_t of sigaltstack(2)."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def own_signal_stack() -> Generator[None]:
    """The alternate signal stack of this thread is afterwards what it was before.

    OpenVINO's CPU plugin sets one while it compiles, which is gone with the graph: the next signal, such as that of
    Ctrl-C, then ends the process. Elsewhere than on Linux nothing happens.
    """
    set_stack = getattr(ctypes.CDLL(None), "sigaltstack", None) if sys.platform == "linux" else None
    if set_stack is None:
        yield
        return
    before = _Stack()
    set_stack(None, ctypes.byref(before))
    try:
        yield
    finally:
        set_stack(ctypes.byref(before), None)
