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
    first: int | None = None  # evaluations from the first whole one to the second, where that is not `every`


EXACT = "exact"
SPEEDS: Mapping[str, Speed | None] = {
    EXACT: None,
    "fast": Speed(every=2, layers=2),
    "faster": Speed(every=3, layers=2),
    "fastest": Speed(every=5, layers=1, first=2),
}
"""What docs/speed.md measures."""


def speed_of(name: str) -> Speed | None:
    """What a speed leaves out, if anything. Raises RequestError for an unknown name."""
    if name not in SPEEDS:
        raise RequestError(f"There is no speed {name!r}: choose {', '.join(SPEEDS)}.")
    return SPEEDS[name]


class Turns:
    """Which evaluations of a run are whole: those that a `speed` says, and each that has another number of rows than
    the one before, such as where guidance begins or ends. At first they may be closer together: a picture is laid out
    in its first steps. Latents that come in several `groups` take turns at each step.
    """

    def __init__(self, speed: Speed, groups: int = 1) -> None:
        self._speed = speed
        # Of each group, the next one first: for how many evaluations its features still hold, and how many rows.
        self._kept: deque[tuple[int, int]] = deque([(0, 0)] * groups)

    def is_whole(self, rows: int) -> bool:
        """Whether the next evaluation is, of so many rows."""
        left, before = self._kept.popleft()
        whole = left == 0 or rows != before
        stretch = self._speed.every if before or self._speed.first is None else self._speed.first
        self._kept.append(((stretch if whole else left) - 1, rows))
        return whole


class CachedSteps:
    """A U-Net through the steps of one run, of which some are whole (see `Turns`; arXiv 2312.00858, section 3.2).

    In between, only what `speed.layers` blocks at the end need is computed, upon the deep features of the last whole
    evaluation. Each group of latents has features of its own.
    """

    def __init__(self, network: UNet, speed: Speed, groups: int = 1) -> None:
        self._network, self._turns = network, Turns(speed, groups)
        self._layers = min(speed.layers, network.spec.layers + 1)
        self._features: deque[Tensor | None] = deque([None] * groups)  # of the next group first

    @property
    def kept(self) -> list[Tensor]:
        """The features of each group that has had a whole evaluation."""
        return [features for features in self._features if features is not None]

    def __call__(self, x: Float[Tensor, "b i h w"], shifts: Shifts, text: Reading) -> Float[Tensor, "b o h w"]:
        shifts, text = spread_rows(shifts, text, len(x))
        network, features = self._network, self._features.popleft()
        if self._turns.is_whole(len(x)) or features is None:
            skips = network.descend(x, shifts, text)
            features = network.deep(skips, shifts, text, self._layers)
        else:
            skips = network.descend(x, shifts, text, self._layers)
        self._features.append(features)
        return network.ascend(features, skips, shifts, text)
