"""Inpainting and soft masks: a wrapper around `denoise` that keeps parts of a given latent."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fictile.sampling.sampler import Denoise
from fictile.schedule import Level


def last_steps(amount: Float[Tensor, "*b"], count: int) -> Int[Tensor, "*b"]:
    """In how many of the last steps of `count` a cell takes part that may change by `amount`, from 0 to 1.

    None at 0, else at least one: the count of `make_steps` at that strength.
    """
    return (amount * count).round().clamp(min=1).where(amount > 0, 0).long()


def keep(
    denoise: Denoise, given: Float[Tensor, "1 c h w"], steps_of: Int[Tensor, "1 1 h w"], steps: Sequence[Level]
) -> Denoise:
    """A denoiser that sees the given latent wherever a cell does not take part yet.

    Source: differential diffusion (arXiv 2306.00950, algorithm 1), where a cell is set to the given latent under noise
    until its turn comes. Here it is the x0 of such a cell that is set: every sampler then carries the cell along at
    its level, since x0 is constant there, under the noise that it began with. With cells that take part in all steps
    or in none it is inpainting by latent masking.

    Args:
        given: the clean latent.
        steps_of: in how many of the last steps each cell takes part (see `last_steps`).
        steps: the levels that the sampler visits, as `make_steps` gives them.
    """
    ranks = sorted(_noisiness(level) for level in steps[:-1])

    def kept(x: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
        left = 1 + sum(rank < _noisiness(level) - 1e-12 for rank in ranks)  # steps, this one included
        x0 = denoise(x, level)
        return torch.where(steps_of >= left, x0, given.to(x0))

    return kept


def started(
    noise: Float[Tensor, "b c h w"],
    level: Level,
    given: Float[Tensor, "1 c h w"] | None = None,
    amount: Float[Tensor, "1 1 _ _"] | None = None,
) -> Float[Tensor, "b c h w"]:
    """Where a sampler starts: the given latent under noise, and noise alone where it may change entirely.

    Noise alone stands in for a latent of variance 1 under noise, and so has their common variance, alpha^2 + sigma^2.
    """
    alone = math.hypot(level.alpha, level.sigma) * noise
    if given is None or amount is None:
        return alone
    return torch.where(amount >= 1, alone, level.alpha * given + level.sigma * noise)


def _noisiness(level: Level) -> float:
    return level.sigma / (level.alpha + level.sigma)
