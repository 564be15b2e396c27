"""A published autoencoder from the tensors of any file and any of its namings."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.autoencoder import AnyAutoencoder, Known, Normalisation, NormalisedAutoencoder
from fictile.autoencoder import Network as AutoencoderNetwork
from fictile.autoencoder.known import FLUX2_EPSILON, FLUX2_PATCH
from fictile.checkpoint.fields import few
from fictile.checkpoint.header import NAMES, TensorInfo
from fictile.checkpoint.parts import Part
from fictile.checkpoint.released import naming_in, there
from fictile.checkpoint.weights import Weights
from fictile.errors import RequestError

Reader = Callable[[str], Shaped[Tensor, "..."]]

STATISTICS = ("bn.running_mean", "bn.running_var")  # of FLUX.2's latents, in its autoencoder's files
COUNT = "bn.num_batches_tracked"  # beside them; only training reads it


def assemble_autoencoder(
    known: Known, names: Collection[str], read: Reader, *, where: str, content_hash: str | None = None
) -> AnyAutoencoder:
    """The autoencoder of tensors at hand, in float32 on the CPU, in evaluation mode.

    `names` are as they were released or as diffusers has them; tensors of other networks must have been left out. Of a
    tiny autoencoder, one half is enough. `where` names their origin in messages.

    Raises RequestError when tensors are missing, unexpected or of another shape.
    """
    shapes = {name: read(name) for name in names}

    def read_in(name: str, dtype: torch.dtype | None = None) -> Shaped[Tensor, "..."]:
        return read(name).to(dtype)

    weights = Weights(
        path=Path(where),
        format="pickle",
        tensors={name: TensorInfo(dtype=NAMES[one.dtype], shape=tuple(one.shape)) for name, one in shapes.items()},
        metadata={},
        size=0,
        read=read_in,
        files=(),
    )
    spec = there(known.spec, names)
    part = Part(role="vae", spec=spec, naming=naming_in(spec, weights), weights=weights)
    return NormalisedAutoencoder(
        cast(AutoencoderNetwork, part.build(torch.float32)),
        known.normalisation or batch_norm(weights),
        known.name,
        known.space,
        content_hash=content_hash,
    )


def batch_norm(weights: Weights) -> Normalisation:
    """The normalisation that a file of FLUX.2's autoencoder carries. Raises RequestError when it is not there."""
    if missing := [name for name in STATISTICS if name not in weights]:
        raise RequestError(
            f"{weights.path} lacks {few(missing)}, which say how its latents are normalised; get the whole autoencoder."
        )
    mean, variance = (weights.read(name).double().tolist() for name in STATISTICS)
    return Normalisation.batch_norm(mean, variance, FLUX2_EPSILON, FLUX2_PATCH)
