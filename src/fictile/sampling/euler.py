"""Euler's method."""

from collections.abc import Sequence
from itertools import pairwise

from fictile.sampling.sampler import Callback, Denoise, Noise, X, mix, observed
from fictile.schedule import Level


def euler(denoise: Denoise, x: X, steps: Sequence[Level], *, noise: Noise, callback: Callback | None = None) -> X:
    """Euler's method for the probability-flow ODE; order 1, deterministic, one evaluation per step.

    Source: Karras et al. 2022 (arXiv 2206.00364), algorithm 1 without its second evaluation. The same step is DDIM with
    eta = 0 (arXiv 2010.02502, equation 12) and, on flows, x + (t' - t) velocity.
    Coordinate: none; the step is the same in sigma / alpha, lambda and flow time.
    Flows: the same rule.
    alpha = 0: x' = (s'/s) x + a' x0, finite. sigma = 0 at the end: x' = x0.
    """
    look = observed(denoise, callback)
    for i, (now, after) in enumerate(pairwise(steps)):
        x = mix(x, look(i, x, now), now, after.alpha, after.sigma)
    return x
