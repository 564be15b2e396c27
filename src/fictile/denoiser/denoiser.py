"""A network, and what its numbers mean: together they take a noisy latent to a clean one."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.denoiser.conditioning import Conditioning
from fictile.denoiser.unet import UNet
from fictile.errors import RequestError
from fictile.latent import LatentSpace
from fictile.schedule import Level, Prediction, Schedule, to_x0

Sight = Literal["noise", "masked picture", "picture"]


@dataclass(frozen=True)
class Denoiser:
    """A network with the noise it was trained on, what it predicts, and the space of its latents.

    One that `refines` learnt the least noisy fifth of the times alone, as SDXL's refiner did (arXiv 2307.01952, section
    2.5): it finishes pictures and draws none.

    Raises RequestError when the network's latents have another number of channels than the space.
    """

    network: UNet
    schedule: Schedule
    prediction: Prediction
    space: LatentSpace
    refines: bool = False

    def __post_init__(self) -> None:
        if self.network.spec.out_channels != self.space.channels:
            raise RequestError(
                f"The network predicts {self.network.spec.out_channels} channels and the latent space is {self.space}; "
                "use a network that was trained on this space."
            )

    @property
    def sight(self) -> Sight:
        """What the network sees beside the noisy latent of c channels.

        "masked picture": c + 1 channels more, a mask (1 where to paint) and the latent of the picture with grey there,
        as inpainting models do (Stable Diffusion's, github.com/runwayml/stable-diffusion). "picture": c channels more,
        the raw latent of the picture to change (InstructPix2Pix, arXiv 2211.09800, section 3.2).

        Raises RequestError for a network with other channels.
        """
        channels = self.space.channels
        more = self.network.spec.in_channels - channels
        sights: dict[int, Sight] = {0: "noise", channels: "picture", channels + 1: "masked picture"}
        if more not in sights:
            raise RequestError(
                f"The network takes {more} channels beside those of {self.space}, which Fictile does not know; give a "
                "base, an inpainting or an instruct-pix2pix model."
            )
        return sights[more]

    def __call__(
        self, x: Float[Tensor, "b c h w"], level: Level, conditioning: Conditioning
    ) -> Float[Tensor, "b c h w"]:
        """The clean latent in float32, however the network computes; `conditioning` has one row per latent.

        It is finite at every level. An eps prediction says nothing of x0 in pure noise, where `to_x0` answers 0;
        schedules that reach alpha = 0 want v prediction (arXiv 2305.08891).
        """
        dtype = self.network.conv_in.weight.dtype
        time = torch.full((len(x),), level.time, dtype=torch.float32, device=x.device)
        seen = x if conditioning.beside is None else torch.cat([x, conditioning.beside.to(x)], dim=1)
        output = self.network(seen.to(dtype), time, conditioning.context.to(dtype), conditioning.added)
        return to_x0(self.prediction, output.float(), x.float(), level.alpha, level.sigma)
