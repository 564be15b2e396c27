"""Classifier-free guidance: away from what is not wanted, towards what is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.denoiser.conditioning import Conditioning
from fictile.denoiser.denoiser import Denoiser
from fictile.errors import RequestError
from fictile.schedule import Level


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How strongly the text guides, and where. Raises RequestError outside the ranges given here."""

    scale: float = 5.0  # 1 is the text as it is, more exaggerates it
    rescale: float = 0.0  # 0 to 1: how much of the contrast that guidance adds is taken back
    interval: tuple[float, float] = (0.0, 1.0)  # guides where low < sigma / (alpha + sigma) <= high; 0 clean, 1 noise

    def __post_init__(self) -> None:
        if not 0 <= self.rescale <= 1:
            raise RequestError(f"Guidance rescale is {self.rescale}; choose a number from 0 to 1.")
        low, high = self.interval
        if not 0 <= low <= high <= 1:
            raise RequestError(f"The guidance interval is {low} to {high}; choose two rising numbers from 0 to 1.")

    def acts_at(self, level: Level) -> bool:
        """Whether guidance changes anything at this noise level (the interval: arXiv 2404.07724)."""
        low, high = self.interval
        return self.scale != 1 and low < level.sigma / (level.alpha + level.sigma) <= high


def guide(
    denoiser: Denoiser,
    positive: Conditioning,
    negative: Conditioning,
    guidance: Guidance,
    levels: Sequence[Level] = (),
) -> Callable[[Tensor, Level], Tensor]:
    """The denoiser as a sampler calls it, `(x, level) -> x0`, guided.

    The guided x0 is negative + scale * (positive - negative): arXiv 2207.12598, equation 6, with scale = 1 + w, but of
    x0 instead of eps. Both are the same, because at a given x and level x0 is affine in eps (and in v and in flow), and
    an affine map keeps a combination whose weights, scale and 1 - scale, sum to 1.

    Where guidance acts, both branches run as one batch; elsewhere the positive runs alone. Both conditionings have one
    row for all latents or one for each, and are read once for all steps; `levels` are those that are known beforehand.
    """
    both = denoiser.told(Conditioning.cat([positive, negative]), levels)

    def denoise(x: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
        if not guidance.acts_at(level):
            return both(x, level, rows=len(positive))
        wanted, unwanted = both(torch.cat([x, x]), level).chunk(2)
        guided = unwanted + guidance.scale * (wanted - unwanted)
        return _rescaled(guided, wanted, guidance.rescale) if guidance.rescale else guided

    return denoise


def guide_by_picture(
    denoiser: Denoiser,
    positive: Conditioning,
    negative: Conditioning,
    guidance: Guidance,
    picture_scale: float,
    levels: Sequence[Level] = (),
) -> Callable[[Tensor, Level], Tensor]:
    """As `guide`, for a denoiser that sees a picture: towards the text by one scale, towards the picture by another.

    The guided x0 is nothing + picture_scale * (picture - nothing) + scale * (text - picture), where "text" has the
    positive text and the picture, "picture" the negative text and the picture, and "nothing" the negative text and
    zeros: arXiv 2211.09800, equation 3, of x0 instead of eps, which is the same since the weights sum to 1.

    Both conditionings hold the picture beside the noisy latent. Where guidance does not act, the positive runs alone.
    """
    if negative.beside is None:
        raise ValueError("The conditioning has no picture beside the noisy latent; give it one.")
    blind = replace(negative, beside=torch.zeros_like(negative.beside))
    all_three = denoiser.told(Conditioning.cat([positive, negative, blind]), levels)

    def denoise(x: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
        if picture_scale == 1 and not guidance.acts_at(level):
            return all_three(x, level, rows=len(positive))
        scale = guidance.scale if guidance.acts_at(level) else 1.0
        text, picture, nothing = all_three(torch.cat([x, x, x]), level).chunk(3)
        guided = nothing + picture_scale * (picture - nothing) + scale * (text - picture)
        return _rescaled(guided, text, guidance.rescale) if guidance.rescale else guided

    return denoise


def _rescaled(
    guided: Float[Tensor, "b c h w"], wanted: Float[Tensor, "b c h w"], amount: float
) -> Float[Tensor, "b c h w"]:
    """Guided latents with, at amount 1, the standard deviation of the unguided (arXiv 2305.08891, equations 15 and 16).

    It is taken per latent and in x0, so that it means the same for every prediction. diffusers rescales the network's
    own output and ComfyUI v; where alpha = 0, v is -x0 and all agree for v networks, and they part as the noise falls.
    """
    ratio = wanted.std(dim=(1, 2, 3), keepdim=True) / guided.std(dim=(1, 2, 3), keepdim=True)
    return guided * (amount * ratio + (1 - amount))
