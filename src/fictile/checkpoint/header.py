"""The header of a safetensors file: every tensor's name, type and shape, without reading a tensor.

The format: 8 bytes of length (little endian), that many bytes of JSON, then the tensors' bytes
(https://github.com/huggingface/safetensors#format).
"""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, cast

from fictile.checkpoint.files import FileKind, recognise
from fictile.errors import RequestError

LARGEST_HEADER = 100_000_000  # bytes; the safetensors library's own bound


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """What the header says of one tensor."""

    dtype: str  # as safetensors writes it: "F32", "F16", "BF16", ...
    shape: tuple[int, ...]
    end: int  # of its bytes, counted from the end of the header


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file says it holds; the file has been found to be as long as that."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    size: int  # of the file, in bytes


def read_header(path: str | PathLike[str]) -> Header:
    """Raises RequestError, with a sentence of its own for every way in which this is no whole safetensors file."""
    path = Path(path)
    kind = recognise(path)
    if kind != "safetensors":
        raise RequestError(f"{path} {_REFUSALS[kind]}.")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_HEADER:
            raise RequestError(f"{path} {_DAMAGED}.")
        text = file.read(length)
    if len(text) < length:
        raise RequestError(f"{path} is truncated: {size} of at least {8 + length} bytes; copy or download it again.")
    tensors, metadata = _parse(text, path)
    whole = 8 + length + max((tensor.end for tensor in tensors.values()), default=0)
    if size < whole:
        raise RequestError(f"{path} is truncated: {size} of {whole} bytes; copy or download it again.")
    if size > whole:
        raise RequestError(f"{path} {_DAMAGED}.")
    return Header(tensors=tensors, metadata=metadata, size=size)


def _parse(text: bytes, path: Path) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    try:
        content = cast(dict[str, dict[str, Any]], json.loads(text))
        metadata = {str(key): str(value) for key, value in content.pop("__metadata__", {}).items()}
        tensors = {
            name: TensorInfo(
                dtype=str(tensor["dtype"]),
                shape=tuple(int(side) for side in tensor["shape"]),
                end=int(tensor["data_offsets"][1]),
            )
            for name, tensor in content.items()
        }
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise RequestError(f"{path} {_DAMAGED}.") from None
    return tensors, metadata


_DAMAGED = "is a damaged safetensors file: its header and its length do not agree; copy or download it again"

_REFUSALS: dict[FileKind, str] = {
    "empty": "is empty (0 bytes); copy or download it again",
    "pickle": (
        "is a Python pickle, which can run any code when it is opened, so Fictile never opens one; "
        "use its .safetensors version"
    ),
    "git-lfs pointer": (
        "is a Git LFS pointer, a note of three lines in place of the file; run `git lfs pull` or download the file"
    ),
    "web page": "is a web page that was saved in place of the file; download the file itself",
    "gguf": "is a GGUF file, which Fictile does not read; use the .safetensors version of the model",
    "picture": "is a picture, but a safetensors file was expected; give a weight file",
    "unknown": "is no safetensors file, and nothing else that Fictile knows; give a .safetensors file",
}
