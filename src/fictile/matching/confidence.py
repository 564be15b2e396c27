"""From a measured figure to a confidence: the one curve that all evidence is weighed by."""

import math

from fictile.matching.verdict import THRESHOLD


def confidence(figure: float, *, refuse: float, accept: float) -> float:
    """A logistic curve that passes 1 - THRESHOLD at `refuse` and THRESHOLD at `accept`, whichever of them is larger."""
    steepness = 2 * math.log(THRESHOLD / (1 - THRESHOLD)) / (accept - refuse)
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, steepness * (figure - (refuse + accept) / 2)))))


def of_scale(factor: float, *, refuse: float, accept: float) -> float:
    """That a latent has the right size: `factor` is how much too large it is, on either side of 1."""
    if not (math.isfinite(factor) and factor > 0):
        return 0.0
    return confidence(abs(math.log(factor)), refuse=math.log(refuse), accept=math.log(accept))
