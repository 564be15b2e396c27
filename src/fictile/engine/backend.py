"""Who runs a network: torch as it is, or a compiler of graphs. All of them give the same answer, up to rounding."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from fictile.errors import RequestError

REFERENCE, EAGER, OPENVINO, COMPILED = "reference", "eager", "openvino", "compiled"
BACKENDS = (EAGER, COMPILED, OPENVINO, REFERENCE)
COMPILERS = (COMPILED, OPENVINO)  # those that make something of a network first

Run = Callable[..., Tensor]
"""Tensors in a row to one tensor."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network as back ends take it: tensors in a row to one tensor, without a look at their sizes."""

    network: nn.Module
    example: Sequence[tuple[Tensor, Sequence[int]]]  # each tensor, and the axes whose sizes differ from run to run
    multiple: int = 1  # the first tensor is of maps ("b c h w") whose heights and widths are multiples of this


@runtime_checkable
class Backend(Protocol):
    """Makes a network ready to run."""

    def ready(self, job: Job) -> Run:
        """The network's answer for tensors of whatever sizes the job leaves free. Raises FictileError if it cannot."""
        ...


class Eager:
    """torch, one operation after the other."""

    def ready(self, job: Job) -> Run:
        return job.network


def choose_backend(name: str, device: torch.device, precision: str) -> str:
    """The back end to use: "eager" for "auto", or that of the name, if it is to be had.

    "reference" is eager, in float32, and one picture at a time. No compiler is ever chosen by itself: it pays only once
    it is done, which takes longer than a small model's picture, and a picture's last bits depend on it.

    Raises RequestError for a name that is unknown, and for a back end that cannot run here or in this precision.
    """
    if name == "auto":
        return EAGER
    if name not in BACKENDS:
        nearest = get_close_matches(name, ["auto", *BACKENDS], n=1, cutoff=0)[0]
        raise RequestError(
            f"There is no back end {name!r}: choose auto, {', '.join(BACKENDS)}; the nearest is {nearest!r}."
        )
    if name == REFERENCE and precision != "float32":
        raise RequestError(
            f"The reference back end runs in float32 and {precision} was asked for; leave the precision out."
        )
    if name == OPENVINO and find_spec("openvino") is None:
        raise RequestError("OpenVINO is not installed; run pip install 'fictile[openvino]' or choose another back end.")
    if name == OPENVINO and (device.type not in {"cpu", "xpu"} or precision == "fp16"):
        raise RequestError(
            f"OpenVINO runs in float32 or bf16 on CPUs and Intel GPUs, not in {precision} on {device.type}; "
            "choose those or the eager back end."
        )
    if name == COMPILED and (missing := _missing(device)):
        raise RequestError(f"The compiled back end {missing}, or choose the eager one.")
    return name


def _missing(device: torch.device) -> str | None:
    """Why torch's compiler cannot run here, as far as that is quickly seen."""
    if device.type not in {"cpu", "cuda"} or sys.platform == "win32":
        where = f"Windows ({device.type})" if sys.platform == "win32" else device.type
        return f"runs on CPUs and CUDA of Linux and macOS, not on {where}: choose another device"
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # as torch._inductor.config.cpp
    if shutil.which(compiler) is None:
        return f"needs a C++ compiler, and {compiler} is not there: install one (such as Debian's g++), name it in CXX"
    if device.type == "cuda" and find_spec("triton") is None:
        return "needs triton on CUDA, and it is not installed: run pip install triton"
    return None
