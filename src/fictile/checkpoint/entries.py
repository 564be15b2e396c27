"""What is written of a network: its tensors under the names of a convention, read, renamed and cast one by one."""

from collections.abc import Mapping
from functools import partial

import torch

from fictile.checkpoint.header import DTYPES
from fictile.checkpoint.keys import Convention, inverse, read_as, write_as
from fictile.checkpoint.parts import Part
from fictile.checkpoint.write import Entry


def network_entries(part: Part, target: Convention, prefix: str = "", dtype: torch.dtype | None = None) -> list[Entry]:
    """The tensors of a part under the names of `target`, each in its own type, or in `dtype`: quantised ones become
    float32, and whole numbers stay what they are.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in part.empty().state_dict().items()}
    entries: list[Entry] = []
    for theirs, ours in inverse(shapes, target).items():
        take = target(ours[0])
        own = stored_type(part, part.take(ours[0]).name)
        entries.append(
            Entry(
                name=prefix + theirs,
                dtype=cast(own, dtype),
                shape=tuple(write_as([torch.empty(shapes[name], device="meta") for name in ours], take).shape),
                make=partial(_made, part, ours, target, shapes, own),
            )
        )
    return entries


def stored_type(part: Part, name: str) -> torch.dtype:
    """The type in which a tensor of the file is read; of one that it leaves out, which is a count of batches, int64."""
    info = part.weights.tensors.get(name)
    return DTYPES.get(info.dtype, torch.float32) if info else torch.int64


def cast(own: torch.dtype, wanted: torch.dtype | None) -> torch.dtype:
    """The type that a tensor gets: whole numbers keep theirs."""
    return wanted if wanted and own.is_floating_point else own


def _made(
    part: Part, names: list[str], target: Convention, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype
) -> torch.Tensor:
    """The tensor of a file that these of ours make."""
    if part.take(names[0]).name not in part.weights:
        return part.read(names[0], dtype)
    tensors = [read_as(part.weights, part.take(name), shapes[name], dtype) for name in names]
    return write_as(tensors, target(names[0]))
