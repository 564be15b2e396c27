"""What the machine is: its processor, its memory, and what else keeps it busy."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine, as far as it decides how fast and how large a picture can be."""

    cpu: str
    cores: int  # that this process may use
    instructions: tuple[str, ...]  # of those that decide about speed: "avx2", "avx512", "avx512_bf16", "amx"
    memory: int  # bytes
    free: int  # bytes, of the memory, that can be had without swapping
    accelerators: tuple[str, ...]
    load: float  # processes that wanted to run in the minute before
    system: str


def this_machine() -> Machine:
    """The machine as it is now."""
    memory = psutil.virtual_memory()
    return Machine(
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        instructions=cpu_instructions(),
        memory=memory.total,
        free=memory.available,
        accelerators=_accelerators(),
        load=round(psutil.getloadavg()[0], 2),
        system=platform.platform(),
    )


def cpu_name() -> str:
    """What the processor calls itself."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpu_instructions() -> tuple[str, ...]:
    """The instruction sets that torch finds, by its own queries: some have no public name in every torch we support."""
    cpu = torch.cpu
    found = {
        "avx2": cpu._is_avx2_supported,  # pyright: ignore[reportPrivateUsage]
        "avx512": cpu._is_avx512_supported,  # pyright: ignore[reportPrivateUsage]
        "avx512_bf16": cpu._is_avx512_bf16_supported,  # pyright: ignore[reportPrivateUsage]
        "amx": cpu._is_amx_tile_supported,  # pyright: ignore[reportPrivateUsage]
    }
    return tuple(name for name, there in found.items() if there())


def _accelerators() -> tuple[str, ...]:
    if not torch.accelerator.is_available():
        return ()
    kind = torch.accelerator.current_accelerator()
    assert kind is not None
    if kind.type == "cuda":
        return tuple(torch.cuda.get_device_name(index) for index in range(torch.accelerator.device_count()))
    return (kind.type,) * torch.accelerator.device_count()


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; nothing where there is no such file."""
    if not CPUINFO.exists():
        return {}
    first = CPUINFO.read_text().split("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
