"""What a denoiser says of an autoencoder: its latents are noised a little, denoised once, and compared.

The figure at a level is the error that is left over the error that was put in. Latents of the denoiser's own space
leave less than one, since it has learnt what they look like. Foreign ones leave more: it takes them for its own under
noise, and moves them there. Three things make that sharp: little noise (under much of it every latent gains), one
spread for all latents (a shrunk space gains nothing by being shrunk), and pictures of the denoiser's own domain, with
the curve that its own autoencoder leaves on them for comparison.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.denoiser import Conditioning, Denoiser
from fictile.matching.calibration import calibration_pictures, domain_pictures
from fictile.matching.confidence import confidence, of_scale
from fictile.matching.latents import ACCEPT_SCALE, REFUSE_SCALE
from fictile.sampling import initial_noise
from fictile.schedule import Flow

LEVELS = (0.05, 0.1, 0.2)  # noise over signal, sigma / alpha
ACCEPT, REFUSE = 1.5, 2.2  # times the reference curve, on average over the levels
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a denoiser leaves of its own autoencoder's latents. `pictures` names those that it was measured on."""

    pictures: str
    spread: float  # standard deviation of all values of the latents
    curve: tuple[float, ...]  # at each of LEVELS


# By latent space. `python -m tools.matching.curve` measures them again.
REFERENCES: Mapping[str, Reference] = {
    "emoji-5768f860": Reference(pictures="emoji", spread=1.113, curve=(0.602, 0.351, 0.181)),
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The error left over the error put in at each of LEVELS; where there is a reference, also how many times as much
    is left as there, and how many times as large the latents were.
    """

    curve: tuple[float, ...]
    excess: float | None = None
    scale: float = 1.0

    @property
    def confidence(self) -> float:
        """That the latents are of the denoiser's space; 0.5 without a reference."""
        if self.excess is None:
            return 0.5
        return min(
            confidence(math.log(self.excess), refuse=math.log(REFUSE), accept=math.log(ACCEPT)),
            of_scale(self.scale, refuse=REFUSE_SCALE, accept=ACCEPT_SCALE),
        )


def judged_pictures(space: str) -> Float[Tensor, "b 3 h w"]:
    """What the denoiser of a space is asked about: pictures of its own domain where it has a reference."""
    known = REFERENCES.get(space)
    return domain_pictures(known.pictures) if known else calibration_pictures()


def judge(denoiser: Denoiser, unasked: Conditioning, latents: Float[Tensor, "b c h w"]) -> Judgement:
    """What the denoiser says of the latents of `judged_pictures`; `unasked` is the conditioning of an empty prompt."""
    reference, spread = REFERENCES.get(denoiser.space.id), latents.std().clamp(min=1e-12)
    curve = error_curve(denoiser, unasked, latents * ((reference.spread if reference else 1.0) / spread))
    if reference is None:
        return Judgement(curve=curve)
    ratios = [math.log(max(left, 1e-12) / own) for left, own in zip(curve, reference.curve, strict=True)]
    return Judgement(curve=curve, excess=math.exp(sum(ratios) / len(ratios)), scale=(spread / reference.spread).item())


@torch.no_grad()
def error_curve(
    denoiser: Denoiser, unasked: Conditioning, latents: Float[Tensor, "b c h w"], levels: tuple[float, ...] = LEVELS
) -> tuple[float, ...]:
    """The squared error left over the one put in, at each level of noise over signal. Everything is on one device."""
    noise = initial_noise(tuple(latents.shape[1:]), SEED, len(latents))
    conditioning = unasked.repeat(len(latents))
    curve: list[float] = []
    for wanted in levels:
        scale = wanted / (1 + wanted) if isinstance(denoiser.schedule, Flow) else wanted
        level = denoiser.schedule.level(denoiser.schedule.time_of(scale))
        noisy = level.alpha * latents + level.sigma * noise
        clean = denoiser(noisy, level, conditioning)
        put_in = (noisy / level.alpha - latents).square().mean()
        curve.append(((clean - latents).square().mean() / put_in).item())
    return tuple(curve)
