"""A network, and what its numbers mean: together they take a noisy latent to a clean one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.denoiser.blocks import Shifts
from fictile.denoiser.conditioning import Conditioning
from fictile.denoiser.transformer import Reading, spread
from fictile.denoiser.unet import UNet
from fictile.errors import RequestError
from fictile.latent import LatentSpace
from fictile.schedule import Level, Prediction, Schedule, to_x0

Step = Callable[[Tensor, Shifts, Reading], Tensor]
Sight = Literal["noise", "masked picture", "picture"]


@dataclass(frozen=True)
class Denoiser:
    """A network with the noise it was trained on, what it predicts, and the space of its latents.

    One that `refines` learnt the least noisy fifth of the times alone, as SDXL's refiner did (arXiv 2307.01952, section
    2.5): it finishes pictures and draws none. `step`, if given, runs the network in its place, on x, what the time adds
    and what was read of the text.

    Raises RequestError when the network's latents have another number of channels than the space.
    """

    network: UNet
    schedule: Schedule
    prediction: Prediction
    space: LatentSpace
    refines: bool = False
    step: Step | None = None

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

    def told(self, conditioning: Conditioning, levels: Sequence[Level] = ()) -> "Told":
        """The denoiser as it is asked at many steps of one run, with the levels that are known beforehand."""
        return Told(self, conditioning, levels)

    def __call__(
        self, x: Float[Tensor, "b c h w"], level: Level, conditioning: Conditioning
    ) -> Float[Tensor, "b c h w"]:
        """The clean latent in float32, however the network computes; see `Told`."""
        return self.told(conditioning)(x, level)


class Told:
    """A denoiser that was told what to show: what does not depend on the noisy latent is computed once for all steps.

    That is the text's keys and values in every attention, and what the time adds to every residual block. The times of
    `levels` are embedded together, others when they come.
    """

    def __init__(self, denoiser: Denoiser, conditioning: Conditioning, levels: Sequence[Level] = ()) -> None:
        self._denoiser, self._conditioning = denoiser, conditioning
        self._dtype = denoiser.network.conv_in.weight.dtype
        self._text = denoiser.network.read(conditioning.context.to(self._dtype))
        self._shifts: dict[float, Shifts] = {}
        self._embed([level.time for level in levels])

    def __call__(self, x: Float[Tensor, "b c h w"], level: Level, rows: int | None = None) -> Float[Tensor, "b c h w"]:
        """The clean latent in float32, however the network computes, by the first `rows` of the conditioning or all.

        A row stands for one latent, or for several in a row, the same number each.

        It is finite at every level. An eps prediction says nothing of x0 in pure noise, where `to_x0` answers 0;
        schedules that reach alpha = 0 want v prediction (arXiv 2305.08891).
        """
        if level.time not in self._shifts:
            self._embed([level.time])
        shifts = {block: shift[:rows] for block, shift in self._shifts[level.time].items()}
        text = {attention: (keys[:rows], values[:rows]) for attention, (keys, values) in self._text.items()}
        beside = self._conditioning.beside
        seen = x if beside is None else torch.cat([x, spread(beside[:rows].to(x), len(x))], dim=1)
        step = self._denoiser.step or self._denoiser.network
        output = step(seen.to(self._dtype), shifts, text)
        return to_x0(self._denoiser.prediction, output.float(), x.float(), level.alpha, level.sigma)

    def _embed(self, times: Sequence[float]) -> None:
        """Keep what these times add; where nothing but the time does, in one row for all latents."""
        if not times:
            return
        context, added = self._conditioning.context, self._conditioning.added
        rows = 1 if added is None else len(context)
        time = torch.tensor(times, dtype=torch.float32, device=context.device).repeat_interleave(rows)
        shifts = self._denoiser.network.shifts(time, added and added.repeat(len(times)))
        for index, one in enumerate(times):
            self._shifts[one] = {block: shift[index * rows : (index + 1) * rows] for block, shift in shifts.items()}
