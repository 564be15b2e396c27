"""A stand-in for a network: smooth, nonlinear, different at every noise level and cheap."""

import torch
from torch import Tensor

from fictile.sampling import Noise
from fictile.schedule import Level

SHAPE = (3, 4, 5, 6)


def denoise(x: Tensor, level: Level) -> Tensor:
    """x0 that depends on x, on its neighbours and on the level."""
    return (1.3 * x.roll(1, dims=-1) + 0.4 * (3 * x + level.sigma).sin()).tanh() * (1 - 0.3 * level.sigma) + 0.1


def start() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(11))


def seeded_noise(shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float32) -> Noise:
    """Noise for each step, the same for the sampler under test and for its oracle."""
    return lambda step: torch.randn(shape, generator=torch.Generator().manual_seed(1000 + step), dtype=dtype)


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).norm() / theirs.norm()).item()
