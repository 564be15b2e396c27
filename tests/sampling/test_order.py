"""Analytic: on a Gaussian mixture each deterministic sampler converges to the ODE's end with the order it states."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from fictile.sampling import Sampler, ddim, dpmpp_2m, dpmpp_2m_sde, euler, euler_ancestral, heun, uni_pc, uni_pc_bh2

from .gaussian_mixture import MIXTURE
from .levels import KINDS, uniform
from .toy import seeded_noise

FIRST, LAST = -2.0, 2.0

ORDERS: dict[str, tuple[Sampler, float]] = {
    "euler": (euler, 1),
    "euler_ancestral eta 0": (partial(euler_ancestral, eta=0.0), 1),
    "ddim": (ddim, 1),
    "heun": (heun, 2),
    "dpmpp_2m": (dpmpp_2m, 2),
    "dpmpp_2m_sde eta 0": (partial(dpmpp_2m_sde, eta=0.0), 2),
    "uni_pc order 1": (partial(uni_pc, order=1), 2),
    "uni_pc": (uni_pc, 3),
    "uni_pc_bh2": (uni_pc_bh2, 3),
}


def start() -> Tensor:
    return torch.randn(16, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def exact_end(kind: str) -> Tensor:
    """The end of the probability-flow ODE, d(x / alpha) / d lambda = x0 - x / alpha, by a method of order 8."""

    def slope(lam: float, flat: np.ndarray) -> np.ndarray:
        level, y = KINDS[kind](lam), torch.from_numpy(flat).reshape(-1, 2)
        return (MIXTURE.denoise(level.alpha * y, level) - y).flatten().numpy()

    y = start() / KINDS[kind](FIRST).alpha
    solved = solve_ivp(slope, (FIRST, LAST), y.flatten().numpy(), method="DOP853", rtol=1e-12, atol=1e-12)
    return KINDS[kind](LAST).alpha * torch.from_numpy(solved.y[:, -1].copy()).reshape(-1, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ORDERS)
def test_observed_order_is_the_stated_one(name: str, kind: str) -> None:
    sampler, order = ORDERS[name]
    exact = exact_end(kind)
    counts = [40, 80, 160]
    errors = [
        (sampler(MIXTURE.denoise, start(), uniform(kind, FIRST, LAST, count), noise=seeded_noise()) - exact).norm()
        for count in counts
    ]
    slope = np.polyfit(np.log(counts), [math.log(error) for error in errors], 1)[0]
    assert -slope == pytest.approx(order, abs=0.25)
