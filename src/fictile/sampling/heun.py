"""Heun's method."""

from collections.abc import Sequence
from itertools import pairwise

from fictile.sampling.sampler import Callback, Denoise, Noise, X, mix, observed
from fictile.schedule import Level


def heun(denoise: Denoise, x: X, steps: Sequence[Level], *, noise: Noise, callback: Callback | None = None) -> X:
    """Euler's step, then again with the mean of the slopes at both ends; order 2, deterministic, two evaluations.

    Source: Karras et al. 2022 (arXiv 2206.00364), algorithm 1; k-diffusion's sample_heun without churn.
    Coordinate: sigma / alpha, that is the ODE of x / alpha; on flows the flow's time, the ODE of x itself.
    Flows: as diffusers' FlowMatchHeunDiscreteScheduler.
    alpha = 0: a flow steps as ever; elsewhere sigma / alpha is infinite and that one step is Euler's.
    sigma = 0 at the end: Euler's step, x' = x0. The callback hears the first of the two evaluations.
    """
    look = observed(denoise, callback)
    for i, (now, after) in enumerate(pairwise(steps)):
        x0 = look(i, x, now)
        guess = mix(x, x0, now, after.alpha, after.sigma)
        unit, unit_after = (1.0, 1.0) if now.is_flow and after.is_flow else (now.alpha, after.alpha)
        if after.sigma == 0 or unit == 0:
            x = guess
            continue
        x0_after = denoise(guess, after)
        eps, eps_after = (x - now.alpha * x0) / now.sigma, (guess - after.alpha * x0_after) / after.sigma
        signal = after.alpha / unit_after - now.alpha / unit
        spread = after.sigma / unit_after - now.sigma / unit
        x = unit_after * (x / unit + signal * (x0 + x0_after) / 2 + spread * (eps + eps_after) / 2)
    return x
