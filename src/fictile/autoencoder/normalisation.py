"""From an autoencoder's raw latents to the model's own units, and back."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError


@dataclass(frozen=True)
class Normalisation:
    """model = (raw - shift) * scale, for each channel of its own.

    Only the autoencoder applies it; whoever holds a `Latent` is in model units.

    Raises RequestError when the two differ in length or cannot be undone (a scale of 0, a value that is not finite).
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def __post_init__(self) -> None:
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
    def identity(channels: int) -> "Normalisation":
        """For autoencoders that speak model units already."""
        return Normalisation.scalar(1.0, 0.0, channels)

    @staticmethod
    def scalar(scale: float, shift: float, channels: int) -> "Normalisation":
        """One scale and one shift for all channels."""
        return Normalisation((scale,) * channels, (shift,) * channels)

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

    @property
    def channels(self) -> int:
        """How many channels it is for."""
        return len(self.scale)

    def apply(self, raw: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Raw latents to model units."""
        return (raw - per_channel(self.shift, raw)) * per_channel(self.scale, raw)

    def undo(self, model: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Model units to raw latents."""
        return model / per_channel(self.scale, model) + per_channel(self.shift, model)

    def apply_logvar(self, logvar: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The log-variance of raw latents to that of normalised ones: + 2 log|scale|."""
        return logvar + 2 * per_channel(self.scale, logvar).abs().log()


def per_channel(values: tuple[float, ...], like: Float[Tensor, "b c h w"]) -> Float[Tensor, "c 1 1"]:
    """The values as a tensor that broadcasts over the channels of `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
