"""A mixture of round Gaussians in the plane: pictures whose exact denoiser is known in closed form."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.schedule import Level


@dataclass(frozen=True, kw_only=True)
class Mixture:
    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k 2"]
    widths: Float[Tensor, " k"]

    def denoise(self, x: Float[Tensor, "b 2"], level: Level) -> Float[Tensor, "b 2"]:
        """E[x0 | x]: each component's posterior mean, weighted by how likely it made x."""
        a, s = level.alpha, level.sigma
        variances = a**2 * self.widths.square() + s**2
        away = x[:, None] - a * self.means
        likely = (self.weights.log() - variances.log() - away.square().sum(-1) / (2 * variances)).softmax(-1)
        means = self.means + (a * self.widths.square() / variances)[:, None] * away
        return (likely[..., None] * means).sum(1)

    def mean(self) -> Float[Tensor, " 2"]:
        return self.weights @ self.means

    def covariance(self) -> Float[Tensor, "2 2"]:
        away = self.means - self.mean()
        return (self.weights * away.T) @ away + (self.weights @ self.widths.square()) * torch.eye(2).double()


MIXTURE = Mixture(
    weights=torch.tensor([0.5, 0.3, 0.2]).double(),
    means=torch.tensor([[-1.0, 0.2], [0.8, 0.9], [0.6, -1.1]]).double(),
    widths=torch.tensor([0.5, 0.4, 0.6]).double(),
)
