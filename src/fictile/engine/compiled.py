"""torch's compiler as a back end: a network becomes a program, once; it is kept on the disk and loaded by the next run.

It is compiled ahead of time (torch.export and AOTInductor), for all sizes. `torch.compile` itself would trace the
network afresh in each process, which takes longer than some pictures, and compile it again where a size is 1.
"""

import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from fictile.engine import compile_program
from fictile.engine.backend import Job, Run
from fictile.engine.kept import key, make_room
from fictile.engine.machine import cpu_instructions, cpu_name
from fictile.errors import FictileError
from fictile.files import cache_folder

PACKAGE = "network.pt2"
NOISY = ("torch.export", "torch._export", "torch._dynamo", "torch._inductor", "torch.fx")  # loggers


class Compiled:
    """Runs networks as programs of torch's compiler: one for every size, so that another size costs nothing.

    The networks are given in float32 on the CPU, and moved: they run on `device` in `dtype`, on a CPU in `threads`
    threads. The programs are kept in `folder`, by a hash of the weights and of the processor.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, threads: int, *, folder: Path | None = None) -> None:
        self._device, self._dtype, self._threads = device, dtype, threads
        self._folder = folder or cache_folder() / "inductor"

    def ready(self, job: Job) -> Run:
        try:
            program = self._program(job)
        except Exception as error:  # those of torch's compiler have no base but this
            raise FictileError(
                f"torch's compiler cannot run this network ({_reason(str(error)) or type(error).__name__}); "
                "choose the eager back end."
            ) from error

        def run(*tensors: Tensor) -> Tensor:
            with torch.no_grad():
                return program(*_folded([self._placed(tensor) for tensor in tensors], job.multiple))

        return run

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.detach().to(self._device, self._dtype).contiguous()

    def _program(self, job: Job) -> Run:
        """The program from the disk; where it is not there or cannot be read, made and put there if there is room."""
        folder = self._folder / key(job, torch.__version__, *self._made_for())
        if (folder / PACKAGE).exists():
            with suppress(RuntimeError):
                program = self._load(folder / PACKAGE)
                with suppress(OSError):  # a folder that others own is read all the same
                    os.utime(folder)
                return program
            (folder / PACKAGE).unlink()
        with _folder_beside(folder) as temporary:
            self._make(job, temporary / PACKAGE)
            program = self._load(temporary / PACKAGE)
            with suppress(OSError):  # it is made again the next time
                folder.mkdir(exist_ok=True)
                (temporary / PACKAGE).replace(folder / PACKAGE)
                make_room(folder.parent, folder)
        return program

    def _made_for(self) -> tuple[object, ...]:
        """What a program depends on beside the network. That of one processor may not run on another."""
        if self._device.type == "cuda":
            return ("cuda", str(self._dtype), torch.cuda.get_device_name(self._device), cpu_name())
        return ("cpu", str(self._dtype), self._threads, cpu_name(), *cpu_instructions())

    def _load(self, package: Path) -> Run:
        from torch._inductor import aoti_load_package

        with _quiet():
            if self._device.type == "cpu":
                return aoti_load_package(str(package))
            return aoti_load_package(str(package), device_index=torch.zeros(0, device=self._device).get_device())

    def _make(self, job: Job, package: Path) -> None:
        """Export the network here, and compile it in another process. Raises whatever torch does, and FictileError."""
        inputs = _folded([self._placed(tensor) for tensor, _ in job.example], job.multiple)
        free = [set(axes) for _, axes in job.example]
        if job.multiple > 1:
            free[0] = {axis if axis < 3 else axis + 1 for axis in free[0]}
        shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in free)
        network = _Unfolding(job.network.to(self._device, self._dtype), job.multiple).eval()
        exported = package.with_name("exported.pt2")
        with _quiet(), torch.no_grad():
            program = torch.export.export(network, tuple(inputs), dynamic_shapes={"tensors": shapes}, strict=False)
            torch.export.save(program, exported)
        self._compile(exported, package)

    def _compile(self, exported: Path, package: Path) -> None:
        folder = str(package.parent)
        said = package.with_name("said.txt")
        command = [sys.executable, "-P", compile_program.__file__, str(exported), str(package), str(self._threads)]
        places = {"TORCHINDUCTOR_CACHE_DIR": folder, "TMPDIR": folder}  # what lies there goes with it
        with (
            said.open("wb") as messages,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=messages, stderr=messages, env=os.environ | places
            ) as process,
        ):
            try:
                process.wait()
            finally:
                process.kill()
        if process.returncode or not package.exists():
            raise FictileError(_reason(said.read_text(errors="replace")) or f"it ended with {process.returncode}")


class _Unfolding(nn.Module):
    """The network, given its maps with each side in two axes: the second is fixed, so that the compiler knows that the
    side is a multiple of it. Half of it then is a whole number, and no rounding has to be reasoned about."""

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, *tensors: Tensor) -> Tensor:
        maps, *rest = tensors
        return self.network(maps.flatten(4, 5).flatten(2, 3) if self.multiple > 1 else maps, *rest)


def _folded(tensors: list[Tensor], multiple: int) -> list[Tensor]:
    """What `_Unfolding` takes."""
    maps, *rest = tensors
    return [maps.unflatten(3, (-1, multiple)).unflatten(2, (-1, multiple)), *rest] if multiple > 1 else tensors


@contextmanager
def _folder_beside(folder: Path) -> Generator[Path]:
    """A temporary folder beside this one or, where nothing can be written there, among the system's."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", ignore_cleanup_errors=True)
    except OSError:
        place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with place as temporary:
        yield Path(temporary)


@contextmanager
def _quiet() -> Generator[None]:
    """Without what torch says to its own developers."""
    loggers = [logging.getLogger(name) for name in NOISY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _reason(said: str) -> str:
    """The last line of what torch says that is no advice: those before tell where in its own code it was."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.partition(":")[0]]
    return (errors or lines or [""])[-1]
