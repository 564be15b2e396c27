"""DPM-Solver++ in its multistep form of order 2 ("2M"), for the ODE and for the SDE."""

import math
from collections.abc import Sequence
from itertools import pairwise

from fictile.sampling.sampler import Callback, Denoise, Noise, X, observed, stride
from fictile.schedule import Level


def dpmpp_2m(denoise: Denoise, x: X, steps: Sequence[Level], *, noise: Noise, callback: Callback | None = None) -> X:
    """x0 is drawn on along the line through its last two values; order 2, deterministic, one evaluation per step.

    Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 2.
    Coordinate: lambda = log(alpha / sigma).
    Flows: the same rule with lambda = log((1 - t) / t), as diffusers' flow sigmas; ComfyUI steps in -log t there.
    alpha = 0: h is infinite and x' = (s'/s) x + a' x0; the step after it is of order 1, for x0 at lambda = -infinity
    lies on no line. sigma = 0 at the end: order 1, x' = x0.
    """
    return dpmpp_2m_sde(denoise, x, steps, noise=noise, callback=callback, eta=0.0)


def dpmpp_2m_sde(
    denoise: Denoise,
    x: X,
    steps: Sequence[Level],
    *,
    noise: Noise,
    callback: Callback | None = None,
    eta: float = 1.0,
) -> X:
    """`dpmpp_2m` for the reverse SDE; with eta = 0 it is the ODE and `dpmpp_2m` itself.

    Source: Lu et al. 2022 (arXiv 2211.01095), SDE-DPM-Solver++(2M), and k-diffusion's sample_dpmpp_2m_sde with the
    midpoint rule, whose eta scales the noise. The noise of a step is independent of the step count, not cut from one
    Brownian path as in k-diffusion.
    Coordinate: lambda = log(alpha / sigma). Stochastic, one evaluation per step.
    Flows: the same rule, which holds alpha + sigma = 1 by itself.
    alpha = 0: h is infinite and, for eta > 0, all noise is new: x' = a' x0 + s' noise. sigma = 0 at the end: x' = x0.
    """
    look = observed(denoise, callback)
    x0_before, h_before = None, math.inf
    for i, (now, after) in enumerate(pairwise(steps)):
        x0, h = look(i, x, now), stride(now, after)
        ahead = x0 if x0_before is None or h == math.inf else x0 + h / (2 * h_before) * (x0 - x0_before)
        forgotten = eta * h if eta > 0 else 0.0
        x = after.sigma / now.sigma * math.exp(-forgotten) * x - after.alpha * math.expm1(-h - forgotten) * ahead
        if eta > 0 and after.sigma > 0:
            x = x + after.sigma * math.sqrt(-math.expm1(-2 * forgotten)) * noise(i).to(x)
        x0_before, h_before = x0, h
    return x
