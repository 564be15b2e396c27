"""Noise levels for the analytic tests: uniform in lambda, on the circle (variance-preserving) or on the line (flow)."""

import math
from collections.abc import Callable

from fictile.schedule import Level


def on_circle(lam: float) -> Level:
    return Level(alpha=1 / math.sqrt(1 + math.exp(-2 * lam)), sigma=1 / math.sqrt(1 + math.exp(2 * lam)), time=0.0)


def on_line(lam: float) -> Level:
    return Level(alpha=1 / (1 + math.exp(-lam)), sigma=1 / (1 + math.exp(lam)), time=0.0)


KINDS: dict[str, Callable[[float], Level]] = {"variance-preserving": on_circle, "flow": on_line}


def uniform(kind: str, first: float, last: float, count: int) -> list[Level]:
    """`count` steps from lambda = first to lambda = last."""
    return [KINDS[kind](first + (last - first) * i / count) for i in range(count + 1)]
