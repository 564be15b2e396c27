"""Deep features change little from step to step: remember them, and run the shallow part of the network alone."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from fictile.denoiser.blocks import Shifts
from fictile.denoiser.transformer import Reading
from fictile.denoiser.unet import UNet, spread_rows
from fictile.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How much of the network's work is left out."""

    every: int  # of so many evaluations one is whole
    layers: int  # residual blocks at the end of the network that run in the others, too


EXACT = "exact"
SPEEDS: Mapping[str, Speed | None] = {
    EXACT: None,
    "fast": Speed(every=2, layers=2),
    "faster": Speed(every=3, layers=2),
}
"""What docs/speed.md measures."""


def speed_of(name: str) -> Speed | None:
    """What a speed leaves out, if anything. Raises RequestError for an unknown name."""
    if name not in SPEEDS:
        raise RequestError(f"There is no speed {name!r}: choose {', '.join(SPEEDS)}.")
    return SPEEDS[name]


class CachedSteps:
    """A U-Net through the steps of one run, whole at each `speed.every`-th evaluation (arXiv 2312.00858, section 3.2).

    In between, only what `speed.layers` blocks at the end need is computed, upon the deep features of the last whole
    evaluation. An evaluation of another size than the one before is whole, such as where guidance begins or ends.

    Latents that come in several `groups` come group after group at each step, and each has features of its own.
    """

    def __init__(self, network: UNet, speed: Speed, groups: int = 1) -> None:
        self._network, self._every = network, speed.every
        self._layers = min(speed.layers, network.spec.layers + 1)
        # Of each group, the next one first: for how many evaluations its features still hold, and these.
        self._kept: deque[tuple[int, Tensor | None]] = deque([(0, None)] * groups)

    def __call__(self, x: Float[Tensor, "b i h w"], shifts: Shifts, text: Reading) -> Float[Tensor, "b o h w"]:
        shifts, text = spread_rows(shifts, text, len(x))
        network, (left, features) = self._network, self._kept.popleft()
        if left == 0 or features is None or len(features) != len(x):
            skips = network.descend(x, shifts, text)
            left, features = self._every, network.deep(skips, shifts, text, self._layers)
        else:
            skips = network.descend(x, shifts, text, self._layers)
        self._kept.append((left - 1, features))
        return network.ascend(features, skips, shifts, text)
