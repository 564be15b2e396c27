"""Numbers (the time, SDXL's sizes) as features that a network can read."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu


def sinusoid(numbers: Float[Tensor, "*b"], width: int) -> Float[Tensor, "*b {width}"]:
    """The cosines, then the sines, of each number times width/2 frequencies falling from 1 towards 1/10000.

    The position encoding of arXiv 1706.03762 (section 3.5), with the cosines first. Always float32: half precision
    cannot hold an angle of 999 radians. `width` is even.
    """
    exponents = torch.arange(width // 2, dtype=torch.float32, device=numbers.device) / (width // 2)
    angles = numbers.float()[..., None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class EmbeddingMLP(nn.Module):
    """Two linear layers around a SiLU: from fixed features to learned ones."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_width, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, features: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        return self.linear_2(silu(self.linear_1(features)))
