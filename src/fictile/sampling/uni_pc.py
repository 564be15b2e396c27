"""The unified predictor-corrector, UniPC."""

from collections.abc import Sequence
from itertools import pairwise
from math import expm1, factorial
from typing import Literal

import torch

from fictile.sampling.sampler import Callback, Denoise, Noise, X, observed, stride
from fictile.schedule import Level

Node = tuple[float, X]
"""(lambda, x0 seen there)."""


def uni_pc(
    denoise: Denoise,
    x: X,
    steps: Sequence[Level],
    *,
    noise: Noise,
    callback: Callback | None = None,
    order: int = 2,
    variant: Literal["bh1", "bh2"] = "bh1",
) -> X:
    """Predict with the last `order` values of x0; correct when the next one is known. One evaluation per step.

    Source: Zhao et al. 2023 (arXiv 2302.04867), algorithms 7 and 8 (multistep, x0 prediction). Deterministic, of order
    `order` + 1 with the corrector. `variant` is the paper's B(h): h for bh1, e^h - 1 for bh2; it matters only where a
    single difference is used. The steps start at order 1, and come down to it before sigma = 0.
    Coordinate: lambda = log(alpha / sigma).
    Flows: the same rule with lambda = log((1 - t) / t).
    alpha = 0: h is infinite: that step is of order 1, it is not corrected, and its x0 is left out of later steps.
    sigma = 0 at the end: order 1, x' = x0.
    """
    look = observed(denoise, callback)
    past: list[Node] = []  # newest first
    made: tuple[X, Level, list[Node]] | None = None  # the last step, while it may be corrected
    for i, (now, after) in enumerate(pairwise(steps)):
        node = now.lam, look(i, x, now)
        if made is not None:
            start, before, nodes = made
            x = _advance(start, before, now, [*nodes, node], variant)
        left = len(steps) - 1 - i if steps[-1].sigma == 0 else order
        nodes = [node, *past][: min(order, left)]
        if now.alpha > 0:
            made, past = (x, now, nodes), [node, *past]
        x = _advance(x, now, after, nodes, variant)
    return x


def uni_pc_bh2(
    denoise: Denoise,
    x: X,
    steps: Sequence[Level],
    *,
    noise: Noise,
    callback: Callback | None = None,
    order: int = 2,
) -> X:
    """`uni_pc` with B(h) = e^h - 1, which is diffusers' default and better with few steps. All else as `uni_pc`."""
    return uni_pc(denoise, x, steps, noise=noise, callback=callback, order=order, variant="bh2")


def _advance(x: X, now: Level, after: Level, nodes: list[Node], variant: Literal["bh1", "bh2"]) -> X:
    """x at `after`, with x0 along the polynomial in lambda through the nodes, of which the first lies at `now`."""
    h = stride(now, after)
    (lam, x0), *others = nodes
    x = after.sigma / now.sigma * x - after.alpha * expm1(-h) * x0
    places = [(other - lam) / h for other, _ in others]
    for place, weight, (_, seen) in zip(places, _weights(places, h, variant), others, strict=True):
        x = x - after.alpha * weight / place * (seen - x0)
    return x


def _weights(places: list[float], h: float, variant: Literal["bh1", "bh2"]) -> list[float]:
    """B(h) times the paper's a_m (theorem 3.1): the weight of each difference of x0 over its place in units of h."""
    if not places:
        return []
    if len(places) == 1:
        return [(-h if variant == "bh1" else expm1(-h)) / 2]
    moments: list[float] = []
    phi = expm1(-h)
    for n in range(1, len(places) + 1):
        phi = phi / -h - 1 / factorial(n)
        moments.append(phi * factorial(n))
    powers = torch.tensor([[place**n for place in places] for n in range(len(places))], dtype=torch.float64)
    return torch.linalg.solve(powers, torch.tensor(moments, dtype=torch.float64)).tolist()
