"""What was compiled, kept between runs: a folder for each network, named by a hash of all that it depends on."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from inspect import getsource
from pathlib import Path

import torch
from torch import Tensor, nn

from fictile import __version__
from fictile.engine.backend import Job

KEPT = 16 << 30  # bytes of all that one compiler made; beyond, those go that were used longest ago


def key(job: Job, *maker: object) -> str:
    """A hash of a network's weights, structure, code and free axes, and of what else its `maker` depends on."""
    shapes = [shape(tensor, free) for tensor, free in job.example]
    digest = hashlib.sha256(repr((*maker, __version__, str(job.network), shapes, job.multiple)).encode())
    digest.update(_code(job.network).encode())
    for name, weight in job.network.state_dict().items():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


def shape(tensor: Tensor, free: Sequence[int]) -> list[int]:
    """The sizes of a tensor, with -1 for those that are free."""
    return [-1 if axis in free else size for axis, size in enumerate(tensor.shape)]


def make_room(folder: Path, newest: Path, most: int = KEPT) -> None:
    """Remove the folders in this one that were used longest ago, until the rest take at most so many bytes."""
    kept = [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]  # with a dot: being made
    taken = 0
    for one in sorted(kept, key=lambda one: (one != newest, -one.stat().st_mtime)):
        taken += sum(file.stat().st_size for file in one.iterdir())
        if taken > most and one != newest:
            shutil.rmtree(one, ignore_errors=True)


def _code(network: nn.Module) -> str:
    """What the files say in which the network's parts are written, as far as they are there to be read."""
    texts: list[str] = []
    for name in sorted({type(part).__module__ for part in network.modules()}):
        with suppress(OSError, TypeError):  # a program may come without its sources
            texts.append(getsource(sys.modules[name]))
    return "".join(texts)
