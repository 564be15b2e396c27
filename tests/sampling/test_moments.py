"""Analytic: in the limit of many steps each stochastic sampler draws from the mixture that the denoiser knows."""

from functools import partial

import pytest
import torch
from torch import Tensor

from fictile.sampling import Sampler, ddim, ddpm, dpmpp_2m_sde, euler_ancestral, lcm
from fictile.schedule import CLEAN, Level

from .gaussian_mixture import MIXTURE
from .levels import KINDS, uniform
from .toy import seeded_noise

COUNT = 3000

STOCHASTIC: dict[str, Sampler] = {
    "euler_ancestral": euler_ancestral,
    "euler_ancestral eta 0.5": partial(euler_ancestral, eta=0.5),
    "ddpm": ddpm,
    "ddim eta 1": partial(ddim, eta=1.0),
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "dpmpp_2m_sde eta 0.5": partial(dpmpp_2m_sde, eta=0.5),
}


def pure_noise() -> Tensor:
    return torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STOCHASTIC)
def test_mean_and_covariance_are_those_of_the_data(name: str, kind: str) -> None:
    steps = [Level(0.0, 1.0, 0.0), *uniform(kind, -4.0, 4.0, 240), CLEAN]
    noise = seeded_noise((COUNT, 2), torch.float64)
    drawn = STOCHASTIC[name](MIXTURE.denoise, pure_noise(), steps, noise=noise)
    # Statistical error of a mean here is about 0.015, of a covariance about 0.02.
    torch.testing.assert_close(drawn.mean(0), MIXTURE.mean(), atol=0.04, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), MIXTURE.covariance(), atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_lcm_draws_exactly_from_a_gaussian_with_its_consistency_function(count: int, kind: str) -> None:
    mean, width = torch.tensor([0.7, -0.3]).double(), 0.5

    def consistency(x: Tensor, level: Level) -> Tensor:
        """Where the ODE's path through x ends: each path keeps its place in the Gaussian, counted in widths."""
        return mean + width * (x - level.alpha * mean) / (level.alpha**2 * width**2 + level.sigma**2) ** 0.5

    steps = [Level(0.0, 1.0, 0.0), *uniform(kind, -2.0, 1.0, count)[1:], CLEAN]
    drawn = lcm(consistency, pure_noise(), steps, noise=seeded_noise((COUNT, 2), torch.float64))
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), width**2 * torch.eye(2).double(), atol=0.02, rtol=0)


def test_lcm_loses_variance_with_an_exact_denoiser() -> None:
    steps = [Level(0.0, 1.0, 0.0), *uniform("flow", -4.0, 4.0, 50), CLEAN]
    drawn = lcm(MIXTURE.denoise, pure_noise(), steps, noise=seeded_noise((COUNT, 2), torch.float64))
    assert drawn.T.cov().trace() < MIXTURE.covariance().trace()
