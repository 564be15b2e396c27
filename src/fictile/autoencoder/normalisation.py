"""From an autoencoder's raw latents to the model's own units, and back."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from fictile.errors import RequestError


@dataclass(frozen=True)
class Normalisation:
    """model = (raw - shift) * scale, for each channel of its own.

    With `patch` > 1, squares of that many raw cells are first folded into channels (channel first, then row, then
    column), so that the model's latent is coarser and has patch^2 as many channels as the network's.

    Only the autoencoder applies it; whoever holds a `Latent` is in model units.

    Raises RequestError when the two differ in length, do not fill the patch or cannot be undone (a scale of 0, a value
    that is not finite).
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    patch: int = 1

    def __post_init__(self) -> None:
        if self.patch < 1 or len(self.scale) % self.patch**2:
            raise RequestError(
                f"The normalisation folds squares of {self.patch}x{self.patch} cells into {len(self.scale)} channels; "
                "give a patch from 1 on, and a scale for each channel of the folded latent."
            )
        if len(self.scale) != len(self.shift):
            raise RequestError(
                f"The normalisation has {len(self.scale)} scales and {len(self.shift)} shifts; "
                "give one of each for every latent channel."
            )
        if not torch.tensor([*self.scale, *self.shift]).isfinite().all() or 0 in self.scale:
            raise RequestError(
                f"The normalisation has scale {self.scale} and shift {self.shift}; "
                "give finite numbers and no scale of 0, or its latents could not be undone."
            )

    @staticmethod
    def identity(channels: int, patch: int = 1) -> "Normalisation":
        """For autoencoders that speak model units already; at most their latents are folded."""
        return Normalisation.scalar(1.0, 0.0, channels, patch)

    @staticmethod
    def scalar(scale: float, shift: float, channels: int, patch: int = 1) -> "Normalisation":
        """One scale and one shift for all channels of the model's latent."""
        return Normalisation((scale,) * channels, (shift,) * channels, patch)

    @staticmethod
    def of(mean: Iterable[float], std: Iterable[float]) -> "Normalisation":
        """The one that brings raw latents with this mean and standard deviation per channel to 0 and 1."""
        deviations = tuple(map(float, std))
        if not all(deviations):
            raise RequestError(
                f"The latents have standard deviations {deviations}; a channel that never varies cannot be normalised, "
                "train the autoencoder longer or with fewer channels."
            )
        return Normalisation(tuple(1 / deviation for deviation in deviations), tuple(map(float, mean)))

    @staticmethod
    def batch_norm(mean: Iterable[float], variance: Iterable[float], epsilon: float, patch: int) -> "Normalisation":
        """That of a batch norm without gain and bias, from its running statistics (arXiv 1502.03167, algorithm 2)."""
        return Normalisation(
            tuple((float(value) + epsilon) ** -0.5 for value in variance), tuple(map(float, mean)), patch
        )

    @property
    def channels(self) -> int:
        """How many channels the model's latents have."""
        return len(self.scale)

    @property
    def raw_channels(self) -> int:
        """How many channels the network's latents have."""
        return self.channels // self.patch**2

    def apply(self, raw: Float[Tensor, "b c h w"]) -> Float[Tensor, "b cm hm wm"]:
        """Raw latents to model units."""
        folded = F.pixel_unshuffle(raw, self.patch)
        return (folded - per_channel(self.shift, folded)) * per_channel(self.scale, folded)

    def undo(self, model: Float[Tensor, "b cm hm wm"]) -> Float[Tensor, "b c h w"]:
        """Model units to raw latents."""
        folded = model / per_channel(self.scale, model) + per_channel(self.shift, model)
        return F.pixel_shuffle(folded, self.patch)

    def apply_logvar(self, logvar: Float[Tensor, "b c h w"]) -> Float[Tensor, "b cm hm wm"]:
        """The log-variance of raw latents to that of normalised ones: + 2 log|scale|."""
        folded = F.pixel_unshuffle(logvar, self.patch)
        return folded + 2 * per_channel(self.scale, folded).abs().log()


def per_channel(values: tuple[float, ...], like: Float[Tensor, "b c h w"]) -> Float[Tensor, "c 1 1"]:
    """The values as a tensor that broadcasts over the channels of `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
