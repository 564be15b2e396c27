"""One noise level: the only thing a sampler needs to know about time."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """x_t = alpha * x0 + sigma * noise; `time` is what the network is told about it."""

    alpha: float
    sigma: float
    time: float

    @property
    def lam(self) -> float:
        """lambda = log(alpha / sigma), half the log signal-to-noise ratio; +inf where clean, -inf where pure noise."""
        if self.sigma == 0:
            return math.inf
        return -math.inf if self.alpha == 0 else math.log(self.alpha / self.sigma)

    @property
    def is_flow(self) -> bool:
        """Whether it lies on the straight line alpha + sigma = 1, as all levels of flows and both ends of others do."""
        return abs(self.alpha + self.sigma - 1) < 1e-9


CLEAN = Level(alpha=1.0, sigma=0.0, time=0.0)
