"""The machine that was measured, as far as it explains the figures."""

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")  # what decides over float32 and bf16
LIBRARIES = ("fictile", "torch", "diffusers")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and when figures were taken."""

    date: str  # UTC, to the minute
    cpu: str
    cores: int  # that this process may use
    flags: tuple[str, ...]
    memory: float  # GiB
    system: str
    versions: dict[str, str]
    threads: int  # of torch
    load: float  # processes that wanted to run in the minute before; the figures are worth little above about 0.3

    @property
    def slug(self) -> str:
        """The date and the machine as the name of a file."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.date} {self.cpu} {self.cores} cores".lower())


def this_machine() -> Machine:
    """The machine as it is now."""
    about = _cpuinfo()
    flags = about.get("flags", "").split()
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        cpu=about.get("model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        flags=tuple(flag for flag in TELLING_FLAGS if flag in flags),
        memory=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=platform.platform(),
        versions={"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        threads=torch.get_num_threads(),
        load=round(os.getloadavg()[0], 2),
    )


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; nothing where there is no such file."""
    if not CPUINFO.exists():
        return {}
    first = CPUINFO.read_text().split("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
