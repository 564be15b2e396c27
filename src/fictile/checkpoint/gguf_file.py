"""GGUF files, read through the `gguf` library and only read. Quantised tensors become float32 one by one.

Shapes are turned to torch's order: GGUF writes the fastest axis first. Convolutions that a converter flattened carry
their true shape in a field `comfy.gguf.orig_shape.<name>` (the convention of ComfyUI-GGUF).
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.checkpoint.header import TensorInfo
from fictile.checkpoint.weights import Weights
from fictile.errors import RequestError

ORIGINAL_SHAPE = "comfy.gguf.orig_shape."


def open_gguf(path: Path) -> Weights:
    """Raises RequestError when the file is damaged, or the `gguf` library is not there."""
    try:
        from gguf import GGUFReader, dequantize
    except ImportError:
        raise RequestError(
            f"{path} is a GGUF file, and the library that reads those is missing: pip install 'fictile[gguf]'."
        ) from None
    try:
        reader: Any = GGUFReader(path, "r")
        fields = {str(name): field for name, field in reader.fields.items()}
        tensors = {str(tensor.name): tensor for tensor in reader.tensors}
    except (ValueError, TypeError, LookupError, OverflowError, OSError, AttributeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise RequestError(
            f"{path} is a GGUF file that ends early or is damaged ({path.stat().st_size:,} bytes: {reason}); "
            "copy or download it again."
        ) from None

    def shape(name: str) -> tuple[int, ...]:
        field = fields.get(ORIGINAL_SHAPE + name)
        if field is not None:
            return tuple(int(field.parts[index][0]) for index in field.data)
        return tuple(int(side) for side in reversed(tensors[name].shape))

    def read(name: str, dtype: torch.dtype | None = None) -> Shaped[Tensor, "..."]:
        tensor = tensors[name]
        if tensor.tensor_type.name in ("F64", "F32", "F16"):
            return torch.tensor(tensor.data, dtype=dtype).reshape(shape(name))
        try:
            plain = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError:
            raise RequestError(
                f"{name} in {path} is of the type {tensor.tensor_type.name}, which the gguf library cannot decode; "
                "give the model in another type."
            ) from None
        return torch.from_numpy(plain.copy()).to(dtype or torch.float32).reshape(shape(name))

    plain = {name: str(field.contents()) for name, field in fields.items() if len(field.data) == 1}
    return Weights(
        path=path,
        format="gguf",
        tensors={
            name: TensorInfo(dtype=tensor.tensor_type.name, shape=shape(name)) for name, tensor in tensors.items()
        },
        metadata={name: value for name, value in plain.items() if not name.startswith("GGUF.")},
        size=path.stat().st_size,
        read=read,
        files=(path,),
    )
