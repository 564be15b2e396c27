"""How much memory there is to work in."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from fictile.malloc import trim

PLENTY = 2**62  # where the system does not say
OUT_OF_MEMORY = (
    "can't allocate memory",  # c10/core/impl/alloc_cpu.cpp, on Linux and macOS
    "not enough memory",  # the same, on Windows
    "MPS backend out of memory",  # aten/src/ATen/mps/MPSAllocator.mm
)
MEMINFO, STATUS = Path("/proc/meminfo"), Path("/proc/self/status")
CGROUP = Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still take on a device, without swapping and without what others hold.

    On a CPU that is the least of what the system has available, what the control group leaves (cgroups(7)) and what
    the limit on addresses leaves (RLIMIT_AS, getrlimit(2)); on CUDA what the device has, and what torch holds unused.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return PLENTY
    return max(min(_limits(), default=PLENTY), 0)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error is torch's way to say so: on CPUs and MPS it has no class of its own, only its words."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def let_go(*networks: nn.Module) -> None:
    """Give the weights of networks back to the system; their shapes stay, and they never run again."""
    for network in networks:
        network.to("meta")
    trim()


def _limits() -> Iterator[int]:
    if MEMINFO.exists():
        yield _kilobytes(MEMINFO, "MemAvailable")
    for limit, used in (
        ("memory.max", "memory.current"),  # version 2
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # version 1
    ):
        words = [(CGROUP / name).read_text().strip() for name in (limit, used) if (CGROUP / name).exists()]
        if len(words) == 2 and all(word.isdecimal() for word in words):
            yield int(words[0]) - int(words[1])
    if sys.platform == "linux":
        import resource

        addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
        if addresses != resource.RLIM_INFINITY:
            yield addresses - _kilobytes(STATUS, "VmSize")


def _kilobytes(path: Path, field: str) -> int:
    """Bytes of a line that counts in kB, as proc(5) does."""
    lines = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
    return int(lines[field].split()[0]) * 1024
