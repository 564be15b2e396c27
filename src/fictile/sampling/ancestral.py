"""Ancestral sampling: in each step, forget a part of the noise and draw it anew.

Euler ancestral, DDIM with eta and DDPM come from three papers and are one step. The noise that is kept is
d = s' sqrt(1 - eta^2 (1 - r^2)), where r = a s' / (a' s) is by how much sigma / alpha falls. An Euler step leads from
(a, s) to (a', d), and fresh noise of variance s'^2 - d^2 makes the level (a', s') whole, whatever the schedule is.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from fictile.sampling.sampler import Callback, Denoise, Noise, X, mix, observed
from fictile.schedule import Level


def euler_ancestral(
    denoise: Denoise,
    x: X,
    steps: Sequence[Level],
    *,
    noise: Noise,
    callback: Callback | None = None,
    eta: float = 1.0,
) -> X:
    """Euler's method with ancestral noise, `eta` (0 to 1) times as much as keeps the reverse process exact.

    Source: k-diffusion's sample_euler_ancestral; the variance is that of DDPM's posterior (arXiv 2006.11239).
    Coordinate: sigma / alpha. Stochastic, one evaluation per step.
    Flows: the same rule, which holds alpha + sigma = 1 by itself. ComfyUI picks another split between old and new
    noise there, equal to first order in the step.
    alpha = 0: r = 0, so with eta = 1 all noise is new: x' = a' x0 + s' noise. sigma = 0 at the end: x' = x0.
    """
    look = observed(denoise, callback)
    for i, (now, after) in enumerate(pairwise(steps)):
        r = now.alpha * after.sigma / (after.alpha * now.sigma)
        fresh = eta**2 * (1 - r**2)  # the share of the variance that is drawn anew
        x = mix(x, look(i, x, now), now, after.alpha, after.sigma * math.sqrt(1 - fresh))
        if fresh > 0 and after.sigma > 0:
            x = x + after.sigma * math.sqrt(fresh) * noise(i).to(x)
    return x


def ddim(
    denoise: Denoise,
    x: X,
    steps: Sequence[Level],
    *,
    noise: Noise,
    callback: Callback | None = None,
    eta: float = 0.0,
) -> X:
    """Denoising diffusion implicit models: deterministic for eta = 0, DDPM for eta = 1.

    Source: Song et al. 2021 (arXiv 2010.02502), equations 12 and 16, where sigma_t(eta) is the fresh noise here.
    Coordinate: none for eta = 0, when it is `euler` (order 1); sigma / alpha above that.
    Flows, alpha = 0 and sigma = 0: as `euler_ancestral`.
    """
    return euler_ancestral(denoise, x, steps, noise=noise, callback=callback, eta=eta)


def ddpm(denoise: Denoise, x: X, steps: Sequence[Level], *, noise: Noise, callback: Callback | None = None) -> X:
    """Denoising diffusion probabilistic models: a draw from the posterior q(x' | x, x0) in each step.

    Source: Ho et al. 2020 (arXiv 2006.11239), equations 6 and 7 with beta = 1 - (a / a')^2, so that steps may be left
    out; the variance is the posterior's ("fixed_small" in diffusers).
    Coordinate: sigma / alpha. Stochastic, one evaluation per step.
    Flows, alpha = 0 and sigma = 0: as `euler_ancestral`.
    """
    return euler_ancestral(denoise, x, steps, noise=noise, callback=callback, eta=1.0)
