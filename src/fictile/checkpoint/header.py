"""The header of a safetensors file: every tensor's name, type and shape, without reading a tensor.

The format: 8 bytes of length (little endian), that many bytes of JSON, then the tensors' bytes
(https://github.com/huggingface/safetensors#format).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch

from fictile.checkpoint.files import FileKind, first_bytes, recognise
from fictile.errors import RequestError

LARGEST_HEADER = 100_000_000  # bytes; the safetensors library's own bound


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """What the header says of one tensor."""

    dtype: str  # as safetensors writes it: "F32", "F16", "BF16", ...; of GGUF, its own: "Q4_K", ...
    shape: tuple[int, ...]
    start: int = 0  # of its bytes, counted from the end of the header
    end: int = 0

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file says it holds; the file has been found to be as long as that."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    size: int  # of the file, in bytes
    length: int  # of the JSON, in bytes


def read_header(path: str | PathLike[str]) -> Header:
    """Raises RequestError, with a sentence of its own for every way in which this is no whole safetensors file."""
    path = Path(path)
    kind = recognise(path)
    if kind != "safetensors":
        raise RequestError(f"{path} {_REFUSALS[kind]}{_beginning(path) if kind == 'unknown' else ''}.")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_HEADER:
            raise RequestError(
                f"{path} claims a header of {length:,} bytes, but the format allows {LARGEST_HEADER:,}; it is "
                "damaged or something else under this name, download it again."
            )
        text = file.read(length)
    if len(text) < length:
        raise RequestError(f"{path} is truncated: {size} of at least {8 + length} bytes; copy or download it again.")
    tensors, metadata = _parse(text, path)
    whole = 8 + length + max((tensor.end for tensor in tensors.values()), default=0)
    if size < whole:
        raise RequestError(f"{path} is truncated: {size} of {whole} bytes; copy or download it again.")
    if size > whole:
        raise RequestError(f"{path} {_DAMAGED}.")
    return Header(tensors=tensors, metadata=metadata, size=size, length=length)


def _beginning(path: Path) -> str:
    """How a text begins: what a server answered in place of a file says what went wrong."""
    line = first_bytes(path).decode("ascii", "replace").partition("\n")[0].strip()
    return f" (it begins with {line!r})" if line and line.isprintable() and "\ufffd" not in line else ""


def _parse(text: bytes, path: Path) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    try:
        content = cast(dict[str, dict[str, Any]], json.loads(text))
        metadata = {str(key): str(value) for key, value in content.pop("__metadata__", {}).items()}
        tensors = {
            name: TensorInfo(
                dtype=str(tensor["dtype"]),
                shape=tuple(int(side) for side in tensor["shape"]),
                start=int(tensor["data_offsets"][0]),
                end=int(tensor["data_offsets"][1]),
            )
            for name, tensor in content.items()
        }
        tensors = dict(sorted(tensors.items(), key=lambda item: item[1].start))
        if not all(_fits(tensor) for tensor in tensors.values()):
            raise ValueError
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise RequestError(f"{path} {_DAMAGED}.") from None
    return tensors, metadata


def _fits(tensor: TensorInfo) -> bool:
    """Whether its bytes are as many as its shape and type need; of a type unknown here, whether they can be."""
    if min(tensor.shape, default=0) < 0 or not 0 <= tensor.start <= tensor.end:
        return False
    dtype = DTYPES.get(tensor.dtype)
    return dtype is None or tensor.end - tensor.start == tensor.count * dtype.itemsize


DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES: Mapping[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}

_DAMAGED = "is a damaged safetensors file: its header and its length do not agree; copy or download it again"

_REFUSALS: dict[FileKind, str] = {
    "empty": "is empty (0 bytes); copy or download it again",
    "pickle": (
        "is a Python pickle, which can run any code when it is opened, but a safetensors file was expected; "
        "give one that Fictile saved"
    ),
    "git-lfs pointer": (
        "is a Git LFS pointer, a note of three lines in place of the file; run `git lfs pull` or download the file"
    ),
    "web page": "is a web page that was saved in place of the file; download the file itself",
    "gguf": "is a GGUF file, but a safetensors file was expected; give one that Fictile saved",
    "picture": "is a picture, but a safetensors file was expected; give a weight file",
    "unknown": "is no safetensors file, and nothing else that Fictile knows; give a .safetensors file",
}
