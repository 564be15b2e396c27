"""What samplers are made of: the types they share and the rules that more than one of them follows."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from fictile.schedule import Level

X = Float[Tensor, "b ..."]

Denoise = Callable[[X, Level], X]
"""(noisy latent, its level) -> the clean latent that the model sees in it."""

Noise = Callable[[int], X]
"""Step index -> standard normal noise of the latent's shape, the same at every call."""

Callback = Callable[[int, Level, X, X], None]
"""Called once per step with (step index, level, x, x0), after the step's first evaluation and before it is made."""


@runtime_checkable
class Sampler(Protocol):
    """Walks x from steps[0] to steps[-1]. All samplers are pure functions of this form; some have options of their own.

    `x` enters already noised to steps[0]. `steps` holds n + 1 levels of falling noise, usually ending in `CLEAN`; only
    the first may have alpha = 0, only the last sigma = 0, and no two are equal. `noise` is asked by stochastic samplers
    only, for the index of the step at hand.
    """

    def __call__(
        self, denoise: Denoise, x: X, steps: Sequence[Level], *, noise: Noise, callback: Callback | None = None
    ) -> X: ...


def observed(denoise: Denoise, callback: Callback | None) -> Callable[[int, X, Level], X]:
    """`denoise` as samplers call it, with the step's index first; tells the callback what came out."""

    def look(index: int, x: X, level: Level) -> X:
        x0 = denoise(x, level)
        if callback is not None:
            callback(index, level, x, x0)
        return x0

    return look


def mix(x: X, x0: X, now: Level, alpha: float, sigma: float) -> X:
    """x at (alpha, sigma), with x0 and the noise that x holds both kept: the Euler step, exact if x0 never changed.

    x' = x s'/s + (a' - a s'/s) x0. It reads the same in sigma / alpha, in lambda and in flow time, and is finite for
    alpha = 0 (where x is all noise) and for sigma = 0 at the end (where x' = x0).
    """
    ratio = sigma / now.sigma
    return ratio * x + (alpha - now.alpha * ratio) * x0


def stride(now: Level, after: Level) -> float:
    """h, the growth of lambda = log(alpha / sigma) in one step; infinite from alpha = 0 and to sigma = 0."""
    return math.inf if now.alpha == 0 or after.sigma == 0 else after.lam - now.lam
