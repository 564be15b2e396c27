"""Writing safetensors tensor by tensor, so that a file larger than memory can be made."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.checkpoint.header import NAMES
from fictile.errors import RequestError
from fictile.files import written_whole

HASH = "modelspec.hash_sha256"  # of all that follows the header (https://github.com/Stability-AI/ModelSpec)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A tensor to write: `make` is called when its turn comes."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Shaped[Tensor, "..."]]


def write_safetensors(
    path: str | PathLike[str], entries: Iterable[Entry], metadata: Mapping[str, str], *, hashed: bool = False
) -> None:
    """Write the tensors, wide types first so that all lie aligned; the same ones always make the same bytes. With
    `hashed`, the metadata gets the SHA-256 of the tensors' bytes.

    Raises RequestError when the place cannot be written to or a value does not fit its type, FictileError when writing
    fails on the way; then no file appears.
    """
    entries = sorted(entries, key=lambda entry: (-entry.dtype.itemsize, entry.name))
    table: dict[str, object] = {"__metadata__": {**metadata, **({HASH: "0x" + 64 * "0"} if hashed else {})}}
    end = 0
    for entry in entries:
        start, end = end, end + torch.Size(entry.shape).numel() * entry.dtype.itemsize
        table[entry.name] = {"dtype": NAMES[entry.dtype], "shape": entry.shape, "data_offsets": [start, end]}
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256()
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for entry in entries:
            data = _bytes(entry)
            file.write(data)
            if hashed:
                digest.update(data)
        if hashed:
            file.seek(8 + header.index(64 * b"0"))
            file.write(digest.hexdigest().encode())


def _bytes(entry: Entry) -> memoryview:
    tensor = entry.make()
    stored = tensor.to(entry.dtype).contiguous()
    if stored.is_floating_point() and stored.dtype != tensor.dtype and not stored.float().isfinite().all():
        raise RequestError(
            f"{entry.name} has values that {str(entry.dtype).removeprefix('torch.')} cannot hold "
            f"(largest {tensor.float().abs().max().item():.3g}); choose bf16 or float32."
        )
    return stored.reshape(-1).view(torch.uint8).numpy().data
