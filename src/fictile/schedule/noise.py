"""Noise schedules: how much signal (alpha) and noise (sigma) a latent holds at a time.

Two kinds exist. `DDPM` and `Cosine` preserve variance (alpha^2 + sigma^2 = 1) and are tables of `steps` training times
0..steps-1, with log(sigma / alpha) interpolated between two of them. `Flow` is a straight line (alpha + sigma = 1), and
its time is 1000 t with t = sigma. `time` is always what the network is told.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.schedule.level import Level

# Where alpha reaches 0 the ratio sigma / alpha has no end; ramps over it (karras, exponential) and fractional times
# beyond the last finite entry stop here instead. ComfyUI's choice: alpha^2 = 4.8973451890853435e-08.
LARGEST_RATIO = math.sqrt(1 / 4.8973451890853435e-08 - 1)

Time = TypeVar("Time", float, Tensor)


@runtime_checkable
class Schedule(Protocol):
    """What samplers and training ask of a noise schedule."""

    @property
    def steps(self) -> int:
        """How many training times there are."""
        ...

    def at(self, time: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        """(alpha, sigma) at each time, in the dtype of `time`; times beyond the ends count as the ends."""
        ...

    def level(self, time: float) -> Level:
        """The noise level at one time, in double precision."""
        ...

    def entry(self, index: int | float) -> Level:
        """The noise level of training time `index`, or between two: 0 is the cleanest, steps - 1 the noisiest."""
        ...

    def spread(self, time: Time) -> Time:
        """A time of a uniform grid -> the time that this schedule wants there (the shift of flows; else itself)."""
        ...

    def scale(self, time: float) -> float:
        """The finite measure of noise over which karras and exponential steps run: sigma / alpha, of flows sigma."""
        ...

    def time_of(self, scale: float) -> float:
        """The inverse of `scale`."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Tabulated(ABC):
    """A variance-preserving schedule given by alpha at `steps` training times."""

    steps: int = 1000

    @abstractmethod
    def alphas(self) -> Float[Tensor, " steps"]:
        """alpha at each training time, float64, falling; the last may be 0."""

    def at(self, time: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        exact, finite = _log_ratios(self)
        place = time.cpu().double().clamp(0, self.steps - 1)
        low = place.floor().long()
        high = (low + 1).clamp(max=self.steps - 1)
        between = torch.lerp(finite[low], finite[high], place - low)
        log_ratio = torch.where(place == low, exact[low], between).to(time)
        return (-2 * log_ratio).sigmoid().sqrt(), (2 * log_ratio).sigmoid().sqrt()

    def level(self, time: float) -> Level:
        alpha, sigma = self.at(torch.tensor(time, dtype=torch.float64))
        return Level(alpha=alpha.item(), sigma=sigma.item(), time=time)

    def entry(self, index: int | float) -> Level:
        return self.level(float(index))

    def spread(self, time: Time) -> Time:
        return time

    def scale(self, time: float) -> float:
        level = self.level(time)
        return level.sigma / level.alpha if level.alpha > 0 else LARGEST_RATIO

    def time_of(self, scale: float) -> float:
        finite = _log_ratios(self)[1]
        log_ratio = torch.tensor(math.log(scale), dtype=torch.float64)
        high = int(torch.searchsorted(finite, log_ratio).clamp(1, self.steps - 1))
        fraction = (log_ratio - finite[high - 1]) / (finite[high] - finite[high - 1])
        return high - 1 + fraction.clamp(0, 1).item()


@cache
def _log_ratios(schedule: _Tabulated) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    """log(sigma / alpha) at each training time, and the same with its infinity (alpha = 0) made finite."""
    alphas = schedule.alphas()
    exact = ((1 - alphas.square()).sqrt() / alphas).log()
    return exact, torch.where(exact.isinf(), math.log(LARGEST_RATIO), exact)


@dataclass(frozen=True, kw_only=True)
class DDPM(_Tabulated):
    """sqrt(beta) rises linearly, as in Stable Diffusion 1, 2 and XL ("scaled linear"; arXiv 2006.11239, 2112.10752).

    `zero_terminal_snr` shifts and scales alpha so that the last training time holds no signal at all
    (arXiv 2305.08891, algorithm 1).

    Raises:
        RequestError: unless 0 < beta_start <= beta_end < 1 and steps >= 2.
    """

    beta_start: float = 0.00085
    beta_end: float = 0.012
    zero_terminal_snr: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.beta_start <= self.beta_end < 1 and self.steps >= 2):
            raise RequestError(
                f"Betas {self.beta_start} to {self.beta_end} over {self.steps} steps make no schedule: "
                "give 0 < beta_start <= beta_end < 1 and at least 2 steps."
            )

    def alphas(self) -> Float[Tensor, " steps"]:
        ends = math.sqrt(self.beta_start), math.sqrt(self.beta_end)
        betas = torch.linspace(*ends, self.steps, dtype=torch.float64).square()
        alphas = (1 - betas).cumprod(0).sqrt()
        if self.zero_terminal_snr:
            alphas = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
        return alphas


@dataclass(frozen=True, kw_only=True)
class Cosine(_Tabulated):
    """alpha^2 falls as a squared cosine, with betas of at most 0.999 (arXiv 2102.09672, equation 17).

    Raises:
        RequestError: unless offset >= 0 and steps >= 2.
    """

    offset: float = 0.008

    def __post_init__(self) -> None:
        if not (self.offset >= 0 and self.steps >= 2):
            raise RequestError(
                f"Offset {self.offset} over {self.steps} steps makes no cosine schedule: "
                "give an offset of 0 or more and at least 2 steps."
            )

    def alphas(self) -> Float[Tensor, " steps"]:
        t = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)
        curve = ((t + self.offset) / (1 + self.offset) * math.pi / 2).cos().square()
        betas = (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
        return (1 - betas).cumprod(0).sqrt()


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The straight line from picture to noise: alpha = 1 - t, sigma = t, time = 1000 t (arXiv 2209.03003).

    `shift` > 1 moves the steps towards the noise, as larger pictures need (arXiv 2403.03206, equation 23). It changes
    which times are visited and not what a time means.

    Raises:
        RequestError: unless shift is above 0.
    """

    shift: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.shift < math.inf:
            raise RequestError(f"A flow cannot be shifted by {self.shift}: give a number above 0 (1 is no shift).")

    @property
    def steps(self) -> int:
        return 1000

    def at(self, time: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        sigma = (time / 1000).clamp(0, 1)
        return 1 - sigma, sigma

    def level(self, time: float) -> Level:
        sigma = min(max(time / 1000, 0.0), 1.0)
        return Level(alpha=1 - sigma, sigma=sigma, time=time)

    def entry(self, index: int | float) -> Level:
        return self.level(self.spread(index + 1.0))

    def spread(self, time: Time) -> Time:
        t = time / 1000
        return 1000 * self.shift * t / (1 + (self.shift - 1) * t)

    def scale(self, time: float) -> float:
        return time / 1000

    def time_of(self, scale: float) -> float:
        return 1000 * scale


KINDS: dict[str, type[DDPM] | type[Cosine] | type[Flow]] = {"ddpm": DDPM, "cosine": Cosine, "flow": Flow}


def schedule_to_json(schedule: DDPM | Cosine | Flow) -> dict[str, object]:
    """The schedule as plain data, such as {"kind": "flow", "shift": 1.0}."""
    kind = next(name for name, made in KINDS.items() if type(schedule) is made)
    return {"kind": kind, **asdict(schedule)}


def schedule_from_json(data: Mapping[str, object]) -> DDPM | Cosine | Flow:
    """The inverse of `schedule_to_json`; fields left out take their defaults.

    Raises:
        RequestError: for an unknown kind or field, or a value out of its range.
    """
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RequestError(f"Noise schedule {kind!r} is unknown: the kinds are {', '.join(KINDS)}.")
    fields = {name: value for name, value in data.items() if name != "kind"}
    try:
        return KINDS[kind](**fields)  # pyright: ignore[reportArgumentType]  (the fields are checked as they are used)
    except TypeError:
        raise RequestError(f"Noise schedule {kind!r} cannot be made from {fields}: check its fields.") from None
