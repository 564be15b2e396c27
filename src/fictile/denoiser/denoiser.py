"""A network, and what its numbers mean: together they take a noisy latent to a clean one."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.denoiser.conditioning import Conditioning
from fictile.denoiser.unet import UNet
from fictile.errors import RequestError
from fictile.latent import LatentSpace
from fictile.schedule import Level, Prediction, Schedule, to_x0


@dataclass(frozen=True)
class Denoiser:
    """A network with the noise it was trained on, what it predicts, and the space of its latents.

    Raises RequestError when the network's latents have another number of channels than the space.
    """

    network: UNet
    schedule: Schedule
    prediction: Prediction
    space: LatentSpace

    def __post_init__(self) -> None:
        if self.network.spec.out_channels != self.space.channels:
            raise RequestError(
                f"The network predicts {self.network.spec.out_channels} channels and the latent space is {self.space}; "
                "use a network that was trained on this space."
            )

    def __call__(
        self, x: Float[Tensor, "b c h w"], level: Level, conditioning: Conditioning
    ) -> Float[Tensor, "b c h w"]:
        """The clean latent in float32, however the network computes; `conditioning` has one row per latent.

        It is finite at every level. An eps prediction says nothing of x0 in pure noise, where `to_x0` answers 0;
        schedules that reach alpha = 0 want v prediction (arXiv 2305.08891).
        """
        dtype = self.network.conv_in.weight.dtype
        time = torch.full((len(x),), level.time, dtype=torch.float32, device=x.device)
        output = self.network(x.to(dtype), time, conditioning.context.to(dtype), conditioning.added)
        return to_x0(self.prediction, output.float(), x.float(), level.alpha, level.sigma)
