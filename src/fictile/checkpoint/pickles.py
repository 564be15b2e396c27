"""Torch's pickles (.ckpt, .pt, .pth, .bin), through torch's weights-only reader and nothing else.

That reader knows tensors and plain containers and refuses every other global before it is called. A few names stand in
many published files beside the weights (what a training framework kept for itself): they become inert objects.
"""

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.checkpoint.files import first_bytes
from fictile.checkpoint.header import NAMES, TensorInfo
from fictile.checkpoint.weights import Weights
from fictile.errors import RequestError


class Inert:
    """Stands in for what a training framework left behind: it takes everything and does nothing."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


INERT = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",  # Stable Diffusion 1.4 and many that follow it
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "numpy.core.multiarray.scalar",  # a loss that was kept as a number of numpy
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "_codecs.encode",
)
WRAPPERS = ("state_dict", "module", "model", "params_ema", "params")  # where training code puts the tensors


def open_pickle(path: Path) -> Weights:
    """The tensors of a torch pickle; a zip's lie on the disk until they are read, an older file's are loaded at once.

    Raises RequestError when it is damaged, holds no tensors, or anything that is not a tensor or a plain value; the
    name of that is given, and it has not been run.
    """
    content = _load(path)
    if not isinstance(content, dict):
        raise RequestError(
            f"{path} holds a {type(content).__name__}, but a table of named tensors was expected; "
            "save the model's state_dict."
        )
    outer = cast(dict[Any, Any], content)
    inner = next((outer[key] for key in WRAPPERS if isinstance(outer.get(key), dict)), outer)
    tensors = {str(name): value for name, value in _flat(cast(dict[Any, Any], inner)) if isinstance(value, Tensor)}
    if not tensors:
        raise RequestError(f"{path} is a torch pickle without a single tensor; give a file of weights.")
    plain = {str(key): str(value) for key, value in outer.items() if isinstance(value, str | int | float)}

    def read(name: str, dtype: torch.dtype | None = None) -> Shaped[Tensor, "..."]:
        return tensors[name].detach().to(dtype, copy=True, memory_format=torch.contiguous_format)

    return Weights(
        path=path,
        format="pickle",
        tensors={
            name: TensorInfo(dtype=NAMES.get(tensor.dtype, str(tensor.dtype)), shape=tuple(tensor.shape))
            for name, tensor in tensors.items()
        },
        metadata=plain,
        size=path.stat().st_size,
        read=read,
        files=(path,),
    )


def _flat(content: dict[Any, Any]) -> list[tuple[str, object]]:
    """Tensors at the top, and those one table below (an embedding's `string_to_param`)."""
    pairs: list[tuple[str, object]] = []
    for name, value in content.items():
        if isinstance(value, dict):
            pairs += [(f"{name}.{inner}", item) for inner, item in cast(dict[Any, Any], value).items()]
        else:
            pairs.append((str(name), value))
    return pairs


def _load(path: Path) -> object:
    zipped = zipfile.is_zipfile(path)
    if not zipped and first_bytes(path).startswith(b"PK"):
        raise RequestError(
            f"{path} is truncated: the table at the end of the archive is not within its {path.stat().st_size:,} "
            "bytes; copy or download it again."
        )
    stand_ins: Any = [(Inert, name) for name in INERT]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, on old kinds of storage: nothing that a user could act upon
            if zipped and path.suffix != ".safetensors":  # by which torch would go, whatever the file holds
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RequestError(_refusal(path, str(error))) from None
    except (RuntimeError, ValueError, TypeError, LookupError, EOFError, OSError, AttributeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise RequestError(
            f"{path} is a damaged torch pickle, or a zip of another kind ({reason}); download it again."
        ) from None


def _refusal(path: Path, message: str) -> str:
    """What stands in the pickle beside tensors, in a sentence; torch's own advice to trust it is left out."""
    if "Unsupported operand" in message:
        return (
            f"{path} is a pickle that torch did not write, or a damaged one; get the .safetensors version of the model."
        )
    named = re.search(r"GLOBAL (\S+)", message)
    what = named[1] if named else "code of its own"
    return (
        f"{path} is a pickle that would run {what}, which is no tensor, so it was not opened and nothing was run; "
        "get the .safetensors version of the model."
    )
