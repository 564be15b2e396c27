"""Tensors on disk, whatever the file: names, shapes and types at once, values one by one when they are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.checkpoint.header import TensorInfo

Format = Literal["safetensors", "pickle", "gguf"]


@runtime_checkable
class Reader(Protocol):
    """Gives one tensor, in memory of its own, in `dtype` or in the type of the file (GGUF's quantised ones in float32);
    nothing else is loaded, and nothing is kept.
    """

    def __call__(self, name: str, dtype: torch.dtype | None = None, /) -> Shaped[Tensor, "..."]: ...


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a file or a set of shards holds, and how to read it."""

    path: Path  # what the user named
    format: Format
    tensors: Mapping[str, TensorInfo]  # in the order in which they lie on the disk, where that is known
    metadata: Mapping[str, str]
    size: int  # of all files together, in bytes
    read: Reader
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()  # what a user should know, a sentence each

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor; None when there is none of that name."""
        info = self.tensors.get(name)
        return info.shape if info else None

    def under(self, prefix: str) -> "Weights":
        """Those whose names begin with `prefix`, and without it; everything else about them stays."""
        if not prefix:
            return self
        inner = {name.removeprefix(prefix): info for name, info in self.tensors.items() if name.startswith(prefix)}

        def read(name: str, dtype: torch.dtype | None = None) -> Tensor:
            return self.read(prefix + name, dtype)

        return replace(self, tensors=inner, read=read)
