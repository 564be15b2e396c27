"""The machine that was measured, as far as it explains the figures."""

import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from fictile import engine

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
    here = engine.this_machine()
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        cpu=here.cpu,
        cores=here.cores,
        flags=here.instructions,
        memory=round(here.memory / 2**30, 1),
        system=here.system,
        versions={"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        threads=torch.get_num_threads(),
        load=here.load,
    )
