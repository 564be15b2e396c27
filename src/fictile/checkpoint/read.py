"""One reader for all weight files: by the first bytes, not by the name.

safetensors are read tensor by tensor with plain reads into memory of their own: what a file mapped into memory costs
depends on the disk behind it (on a network it is many times slower), its pages count as used, and it breaks when the
file is changed below it.
"""

import json
import re
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.checkpoint.fields import few
from fictile.checkpoint.files import recognise
from fictile.checkpoint.header import DTYPES, Header, TensorInfo, read_header
from fictile.checkpoint.hub import HUB, resolve
from fictile.checkpoint.weights import Format, Weights
from fictile.errors import RequestError

INDEX = re.compile(r"\.(safetensors|bin)\.index(\.\w+)?\.json$")  # diffusers writes a variant's name before .json
PIECE = 2**20  # bytes that are read at a time where they are converted
ENDINGS: dict[Format, tuple[str, ...]] = {
    "safetensors": (".safetensors", ".sft"),
    "pickle": (".ckpt", ".pt", ".pth", ".bin"),
    "gguf": (".gguf",),
}


def open_weights(name: str | PathLike[str]) -> Weights:
    """The weights in a file: safetensors (also the index of a sharded one), a torch pickle, or GGUF; or in a file on
    the Hugging Face Hub, where the name is `hub:owner/name/file`.

    Raises RequestError for what is missing, damaged, or no weight file; and for a pickle with anything but tensors and
    plain values in it.
    """
    path = resolve(name) if str(name).startswith(HUB) else Path(name)
    if INDEX.search(path.name):
        return _sharded(path)
    kind = recognise(path)
    if kind == "pickle":
        from fictile.checkpoint.pickles import open_pickle

        weights = open_pickle(path)
    elif kind == "gguf":
        from fictile.checkpoint.gguf_file import open_gguf

        weights = open_gguf(path)
    else:
        weights = _safetensors(path)
    return _with_note_on_ending(weights)


def find_weights(folder: Path, stem: str, variant: str | None = None) -> Weights:
    """The weights of one component in a diffusers folder, `stem` with or without a variant such as fp16, in one file
    or in shards; without a `variant`, the plain ones before others, safetensors before pickles.

    Raises RequestError when there are none.
    """
    pattern = re.compile(
        rf"(?:pytorch_)?{re.escape(stem)}(?:\.(?P<a>\w+))?\.(?P<kind>safetensors|bin)(\.index(?:\.(?P<b>\w+))?\.json)?"
    )
    found: list[tuple[bool, bool, bool, str]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := pattern.fullmatch(path.name):
            own = match["a"] or match["b"]
            if variant in (None, own):
                found.append((match["kind"] == "bin", own is not None, own == "non_ema", path.name))
    if not found:
        of = f"{stem}.{variant}" if variant else stem
        raise RequestError(f"{folder} has no {of}.safetensors, in one file or in shards; copy the folder again.")
    return open_weights(folder / min(found)[-1])


def _safetensors(path: Path) -> Weights:
    header = read_header(path)
    return Weights(
        path=path,
        format="safetensors",
        tensors=header.tensors,
        metadata=header.metadata,
        size=header.size,
        read=lambda name, dtype=None: _read(path, header, name, dtype),
        files=(path,),
    )


def _read(path: Path, header: Header, name: str, dtype: torch.dtype | None) -> Shaped[Tensor, "..."]:
    """One tensor. What is to be of another type is read piece by piece into the same PIECE bytes, so that nothing is
    held twice and the processor's cache holds what is converted. Between the two half precisions torch is slow, and
    quick by way of float32, which holds both.
    """
    info = header.tensors[name]
    if info.dtype not in DTYPES:
        raise RequestError(f"{name} in {path} is of type {info.dtype}, which cannot be read here; use another version.")
    own, length = DTYPES[info.dtype], info.end - info.start
    whole = torch.empty(length // own.itemsize, dtype=dtype or own)
    direct = whole.dtype == own
    piece = whole if direct else torch.empty(min(PIECE, length) // own.itemsize, dtype=own)
    between = {own, whole.dtype} == {torch.float16, torch.bfloat16}
    try:
        with path.open("rb") as file:
            file.seek(8 + header.length + info.start)
            for part in whole.split(max(len(piece), 1)):
                wanted = piece[: len(part)].view(torch.uint8).numpy().data
                if file.readinto(wanted) < len(wanted):
                    raise RequestError(
                        f"{path} has become shorter while it was read; leave it alone until it is loaded."
                    )
                if not direct:
                    part.copy_(piece[: len(part)].float() if between else piece[: len(part)])
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}); copy or download it again.") from None
    return whole.reshape(info.shape)


def _sharded(path: Path) -> Weights:
    """The shards that an index names, as one."""
    try:
        weight_map = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8"))["weight_map"])
        names = sorted({str(name) for name in weight_map.values()})
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist; check the name.") from None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise RequestError(f"{path} is no index of shards; copy the folder again.") from None
    if any(Path(name).name != name or INDEX.search(name) for name in names):
        raise RequestError(f"{path} names files outside of its own folder; get an unchanged copy.")
    if lost := [name for name in names if not (path.parent / name).is_file()]:
        raise RequestError(
            f"{path.parent} lacks {len(lost)} of the {len(names)} shards that {path.name} names ({few(lost)}); "
            "copy or download them."
        )
    shards = {name: open_weights(path.parent / name) for name in names}
    tensors: dict[str, TensorInfo] = {}
    for name, shard in weight_map.items():
        info = shards[str(shard)].tensors.get(name)
        if info is None:
            raise RequestError(f"{path} says that {name} is in {shard}, but it is not; copy the folder again.")
        tensors[name] = info
    tensors = dict(sorted(tensors.items(), key=lambda item: (str(weight_map[item[0]]), item[1].start)))
    first = shards[names[0]] if names else None
    return Weights(
        path=path,
        format=first.format if first else "safetensors",
        tensors=tensors,
        metadata=first.metadata if first else {},
        size=sum(shard.size for shard in shards.values()),
        read=lambda name, dtype=None: shards[str(weight_map[name])].read(name, dtype),
        files=tuple(file for shard in shards.values() for file in shard.files),
    )


def _with_note_on_ending(weights: Weights) -> Weights:
    """A note when the name promises another format than the bytes hold."""
    from dataclasses import replace

    ending = weights.path.suffix.lower()
    promised = next((format_ for format_, endings in ENDINGS.items() if ending in endings), weights.format)
    if promised == weights.format:
        return weights
    note = (
        f"{weights.path.name} has the wrong extension: {ending} says {promised}, but it is "
        f"{_ARTICLES[weights.format]}; rename it to {weights.path.stem}{ENDINGS[weights.format][0]}."
    )
    return replace(weights, notes=(*weights.notes, note))


_ARTICLES: dict[Format, str] = {"safetensors": "a safetensors file", "pickle": "a torch pickle", "gguf": "a GGUF file"}
