"""The sampler of latent consistency models."""

from collections.abc import Sequence
from itertools import pairwise

from fictile.sampling.sampler import Callback, Denoise, Noise, X, observed
from fictile.schedule import Level


def lcm(denoise: Denoise, x: X, steps: Sequence[Level], *, noise: Noise, callback: Callback | None = None) -> X:
    """Jump to the end in each step, then noise the result to the next level with new noise.

    For consistency models, whose x0 is the end of the ODE's path. An ordinary denoiser's x0 is a mean of many ends,
    and this sampler loses variance with it by construction.

    Source: Luo et al. 2023 (arXiv 2310.04378), algorithm 3. The boundary scalings of its model (c_skip, c_out) are
    left out, as in ComfyUI: they differ from 0 and 1 by less than 1e-5 above time 20.
    Coordinate: none. Stochastic, one evaluation per step.
    Flows: the same rule. alpha = 0: nothing is divided by alpha. sigma = 0 at the end: x' = x0, without noise.
    """
    look = observed(denoise, callback)
    for i, (now, after) in enumerate(pairwise(steps)):
        x = after.alpha * look(i, x, now)
        if after.sigma > 0:
            x = x + after.sigma * noise(i).to(x)
    return x
