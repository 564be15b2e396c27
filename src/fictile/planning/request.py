"""What is asked for, as far as it costs something."""

import math
from dataclasses import dataclass, field

import torch

from fictile.checkpoint import Parts
from fictile.denoiser import EXACT, Guidance, speed_of
from fictile.diffusion import check_size, usual_strength
from fictile.errors import RequestError
from fictile.sampling import SAMPLERS, chosen_names, make_steps
from fictile.schedule import Level


@dataclass(frozen=True, kw_only=True)
class Request:
    """Pictures to be made. Raises RequestError for a number that makes none."""

    prompt: str = ""
    negative: str = ""
    size: tuple[int, int]  # height and width
    count: int = 1
    steps: int
    sampler: str
    schedule: str
    guidance: Guidance = field(default_factory=Guidance)
    strength: float = 1.0
    from_picture: bool = False  # which is encoded first
    tiling: str = "auto"
    speed: str = EXACT

    def __post_init__(self) -> None:
        speed_of(self.speed)
        if self.count < 1:
            raise RequestError(f"{self.count} pictures were asked for; make 1 or more.")
        if not 0 <= self.strength <= 1:
            raise RequestError(f"Strength {self.strength} is out of range: give a number from 0 to 1.")

    def levels(self, parts: Parts) -> list[Level]:
        """The noise levels at which the network will be asked, found by letting the sampler run on a single number."""
        asked = list[Level]()

        def denoise(x: torch.Tensor, level: Level) -> torch.Tensor:
            asked.append(level)
            return torch.zeros_like(x)

        levels = make_steps(parts.denoiser.schedule, self.schedule, self.steps, self.strength)
        one = torch.ones(1, 1, 1, 1)
        SAMPLERS[self.sampler](denoise, one, levels, noise=lambda step: one, callback=None)
        return asked

    def latent(self, parts: Parts) -> tuple[int, int, int]:
        """Channels, height and width of one latent. Raises RequestError for a size that the model cannot draw."""
        space, multiple = parts.denoiser.space, parts.denoiser.space.factor * parts.denoiser.network.spec.multiple
        if not self.from_picture:
            check_size(self.size, multiple, parts.name)
        high, wide = (math.ceil(side / multiple) * multiple // space.factor for side in self.size)
        return space.channels, high, wide


def request_for(
    parts: Parts,
    prompt: str = "",
    *,
    negative: str = "",
    size: tuple[int, int] | None = None,
    count: int = 1,
    steps: int | None = None,
    guidance: float | Guidance | None = None,
    interval: tuple[float, float] | None = None,
    sampler: str | None = None,
    schedule: str | None = None,
    from_picture: bool = False,
    masked: bool = False,
    strength: float | None = None,
    tiling: str = "auto",
    speed: str = EXACT,
) -> Request:
    """A request to a model; what is None is its default. Raises RequestError for what it cannot be asked."""
    defaults = parts.defaults
    usual = usual_strength(parts.denoiser, masked=masked)
    sampler, schedule = chosen_names(sampler, schedule, usual=(defaults.sampler, defaults.schedule))
    return Request(
        prompt=prompt,
        negative=negative,
        size=size or defaults.size,
        count=count,
        steps=defaults.steps if steps is None else steps,
        sampler=sampler,
        schedule=schedule,
        guidance=defaults.guided(guidance, interval),
        strength=(usual if strength is None else strength) if from_picture else 1.0,
        from_picture=from_picture,
        tiling=tiling,
        speed=speed,
    )
