"""Colours straight from the channels of a latent: a linear map, and so a look at a picture that costs next to nothing.

Each cell becomes a square of pixels, each pixel a weighted sum of the cell's channels. Which weights, others have
published for some spaces; for any other they are fitted to pictures whose latents are known.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # of a fit, in mean variances of a channel; the one that foretells best is taken


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearPreview:
    """The map: of c channels to the n = 3 fine^2 colours of a cell (colour first, then row, then column)."""

    weights: Float[Tensor, "c n"]
    offset: Float[Tensor, "n"]
    r2: float | None = None  # of the fit, on pictures that it did not see; None of a map that others have made

    @staticmethod
    def published(rows: Float[Tensor, "k 3"], offset: Float[Tensor, "3"], channels: int) -> "LinearPreview":
        """A map of k channels, for latents in which squares of its cells are folded into `channels`."""
        folded = channels // len(rows)
        return LinearPreview(weights=torch.kron(rows, torch.eye(folded)), offset=offset.repeat_interleave(folded))

    @staticmethod
    def fitted(latents: Float[Tensor, "b c h w"], pixels: Float[Tensor, "b 3 H W"]) -> "LinearPreview":
        """The map that foretells the pixels best, by least squares with a penalty on large weights (ridge regression:
        Hoerl and Kennard 1970).

        A cell gets as many pixels as it has channels for. For R2 each picture is foretold by a map that was fitted to
        the others, and so is the penalty chosen.
        """
        fine = _fine(latents.shape[1], pixels.shape[2] // latents.shape[2])
        small = F.adaptive_avg_pool2d(pixels, (latents.shape[2] * fine, latents.shape[3] * fine))
        x, y = _rows(latents), _rows(F.pixel_unshuffle(small, fine))

        def missed(penalty: float) -> float:
            error = 0.0
            for index in range(len(x)):
                others = torch.arange(len(x)) != index
                weights, offset = _solved(x[others].flatten(0, 1), y[others].flatten(0, 1), penalty)
                error += (x[index] @ weights + offset - y[index]).square().sum().item()
            return error

        errors = {penalty: missed(penalty) for penalty in PENALTIES}
        best = min(errors, key=lambda penalty: errors[penalty])
        weights, offset = _solved(x.flatten(0, 1), y.flatten(0, 1), best)
        colours = y.unflatten(2, (3, -1))
        spread = (colours - colours.mean((0, 1, 3), keepdim=True)).square().sum().clamp(min=1e-12).item()
        return LinearPreview(weights=weights.float(), offset=offset.float(), r2=1 - errors[best] / spread)

    def __call__(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 H W"]:
        """Colours in [-1, 1], `fine` pixels along a side of a cell."""
        colours = torch.einsum("bchw,cn->bnhw", latents, self.weights) + self.offset[:, None, None]
        return F.pixel_shuffle(colours, self.fine).clamp(-1, 1)

    @property
    def fine(self) -> int:
        """Pixels along a side of a cell."""
        return math.isqrt(len(self.offset) // 3)


def _fine(channels: int, factor: int) -> int:
    """The most pixels along a side of a cell, a power of two, whose colours are no more than its channels."""
    fine = 1
    while 3 * (2 * fine) ** 2 <= channels and factor % (2 * fine) == 0:
        fine *= 2
    return fine


def _rows(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
    return x.double().flatten(2).mT


def _solved(
    x: Float[Tensor, "n c"], y: Float[Tensor, "n k"], penalty: float
) -> tuple[Float[Tensor, "c k"], Float[Tensor, "k"]]:
    """Weights and offset; the offset is not penalised."""
    mean, wanted = x.mean(0), y.mean(0)
    gram = (x - mean).mT @ (x - mean)
    ridge = (penalty * gram.diagonal().mean()).clamp(min=1e-12) * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram + ridge, (x - mean).mT @ (y - wanted))
    return weights, wanted - mean @ weights
