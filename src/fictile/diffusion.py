"""A recipe becomes latents: its words become conditioning, noise is drawn, and the noise is taken away again."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.denoiser import (
    CachedSteps,
    Conditioning,
    Denoiser,
    Guidance,
    UNet,
    UNetGraph,
    guide,
    guide_by_picture,
    speed_of,
    through,
)
from fictile.engine import COMPILERS, EAGER, Job, Run, Runtime, let_go
from fictile.errors import FictileError, RequestError
from fictile.latent import Latent
from fictile.malloc import kept
from fictile.recipe import PICTURE_GUIDANCE, Recipe
from fictile.sampling import (
    SAMPLERS,
    Callback,
    Denoise,
    StepNoise,
    initial_noise,
    keep,
    last_steps,
    make_steps,
    sampler_name,
    started,
)
from fictile.schedule import Level
from fictile.text import TextConditioner

STRENGTH = 0.75  # how much of a picture as a whole may change, unless told
PROMPTS = 16  # whose features are kept between pictures; those of SDXL take 1.2 MiB
REFINES = 0.3  # how much of a picture a refiner changes, unless told (as diffusers' image-to-image for SDXL)

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class Start:
    """A picture to start from, as latents of a size that the denoiser takes."""

    latent: Float[Tensor, "1 c h w"]
    mask: Float[Tensor, "1 1 h w"] | None = None  # how much each cell may change; None: all of them, entirely


class Diffusion:
    """A text encoder and a denoiser that belong together, placed where they run: copies, in the runtime's precision;
    with `own`, the networks themselves, moved there.

    With `once` as well they are for one run: what has done its part is let go of, the text encoder once the prompts are
    read, and the denoiser after the last step.
    """

    def __init__(
        self,
        name: str,
        text: TextConditioner,
        denoiser: Denoiser,
        runtime: Runtime,
        *,
        own: bool = False,
        once: bool = False,
    ) -> None:
        self.name = name
        self._once, self._over = once, False
        self.runtime = runtime
        self.text = text.placed(lambda network: _placed(network, runtime, own=own))
        self.denoiser = _placed_denoiser(denoiser, runtime, own=own)
        self._features = lru_cache(PROMPTS)(self.text.condition)

    @property
    def multiple(self) -> int:
        """Heights and widths of pictures are multiples of this."""
        return self.denoiser.space.factor * self.denoiser.network.spec.multiple

    def check(self, recipe: Recipe, given: tuple[int, int] | None = None) -> None:
        """Raises RequestError for whatever is wrong with a recipe, before anything is computed.

        `given` is the height and width of the picture that it starts from, if it does.
        """
        if self._over:
            raise RequestError(f"{self.name} was loaded for one run, and that is over; load it again.")
        if not recipe.prompt.strip() and recipe.strength > 0:
            raise RequestError("The prompt is empty; say what the picture should show.")
        for text in (recipe.prompt, recipe.negative):
            self.text.read(text, weighting=recipe.weighting, clip_skip=recipe.clip_skip)
        if recipe.count < 1:
            raise RequestError(f"{recipe.count} pictures were asked for; make 1 or more.")
        if recipe.group is not None and recipe.group < 1:
            raise RequestError(f"{recipe.group} pictures were to be denoised at once; make it 1 or more.")
        if not math.isfinite(recipe.guidance):
            raise RequestError(f"The guidance is {recipe.guidance}; give a finite number, such as 5.")
        sampler_name(recipe.sampler)
        _guidance(recipe)
        make_steps(self.denoiser.schedule, recipe.schedule, recipe.steps)
        check_speed(recipe.speed, self.runtime.backend)
        if not 0 <= recipe.strength <= 1 or (recipe.strength == 0 and not given):
            raise RequestError(f"Strength {recipe.strength} is out of range: give a number from 0 to 1.")
        if self.denoiser.sight == "picture" and not given:
            raise RequestError(f"{self.name} changes pictures and draws none from words alone; give it one to edit.")
        if self.denoiser.refines and (not given or recipe.strength == 1):
            raise RequestError(
                f"{self.name} is a refiner: it finishes pictures and draws none from noise alone; give it one to start "
                f"from, at a strength below 1, such as {REFINES}."
            )
        StepNoise((), (recipe.seed, recipe.seed + recipe.count - 1))
        self._check_size(recipe.size, given)

    def fitted(self, start: Latent, *, asis: bool = False) -> Latent:
        """A latent to start from, continued at its lower and right edge as far as the denoiser needs it; `asis` where
        that will not see it.

        Raises SpaceMismatch for a latent of another space, RequestError for several or one that is not finite.
        """
        start.check(self.denoiser.space)
        if len(start) != 1:
            raise RequestError(f"The latent to start from holds {len(start)} pictures; give one of them, as latent[0].")
        if not start.data.isfinite().all():
            raise RequestError("The latent to start from has values that are not finite numbers; make it again.")
        height, width = start.data.shape[2:]
        cells = 1 if asis else self.multiple // self.denoiser.space.factor
        data = F.pad(start.data.float(), (0, -width % cells, 0, -height % cells), mode="replicate")
        return replace(start.with_data(data.cpu()), size=start.picture_size)

    def sample(
        self,
        recipe: Recipe,
        start: Start | None = None,
        beside: Float[Tensor, "1 k h w"] | None = None,
        callback: Callback | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """The latents of all pictures that are made together with the one of this recipe, the first of them.

        `beside` is what the denoiser sees beside the noisy latent (see `Denoiser.sight`). The recipe has been checked.
        Where pictures are sampled one by one, the callback hears of each in turn.
        Raises FictileError when the result is not finite.
        """
        if self.runtime.one_by_one and recipe.count > 1:
            alone = [replace(recipe.later(index), index=0, count=1) for index in range(recipe.count)]
            return torch.cat([self.sample(one, start, beside, callback) for one in alone])
        shape = self._shape(recipe)
        mask = start.mask if start and start.mask is not None else torch.ones(1, 1, *shape[1:])
        amount = recipe.strength * mask
        most = float(amount.max())
        if start and most == 0:
            return start.latent.repeat(recipe.count, 1, 1, 1)
        levels = make_steps(self.denoiser.schedule, recipe.schedule, recipe.steps, most)
        device = self.runtime.device
        with torch.no_grad(), self.runtime.limited(), kept():
            noise = initial_noise(shape, recipe.seed, recipe.count)
            step_noise = StepNoise(shape, range(recipe.seed, recipe.seed + recipe.count))
            denoise = self._guided(recipe, beside, levels[:-1])
            if start and start.mask is not None:
                turns = last_steps(amount, recipe.steps).to(device)
                denoise = keep(denoise, start.latent.to(device), turns, levels)
            x0 = SAMPLERS[sampler_name(recipe.sampler)](
                denoise,
                started(noise, levels[0], start and start.latent, amount).to(device),
                levels,
                noise=lambda step: step_noise(step).to(device),
                callback=callback,
            )
        if not x0.isfinite().all():
            raise FictileError(
                f"The latent has values that are not finite after {recipe.steps} steps in {recipe.precision}; "
                + ("lower the guidance." if recipe.precision == "float32" else "run again with precision float32.")
            )
        return x0.cpu()

    def finish(self) -> None:
        """Nothing more will be sampled: with `once` the denoiser is let go of, and what was read with the text encoder.

        It may be called any number of times.
        """
        if self._once and not self._over:
            self._over = True
            self._features.cache_clear()
            let_go(*self.text.networks, self.denoiser.network)

    def _check_size(self, size: tuple[int, int], given: tuple[int, int] | None) -> None:
        if given and size != given:
            raise RequestError(
                f"The size is {_by(size)}, but the picture to start from is {_by(given)}; "
                "leave the size out or resize the picture."
            )
        if not given:
            check_size(size, self.multiple, self.name)

    def _guided(self, recipe: Recipe, beside: Float[Tensor, "1 k h w"] | None, levels: Sequence[Level]) -> Denoise:
        """The denoiser at these levels, told what the pictures should show and what not, and how strongly."""
        texts = self._features(
            recipe.prompt, recipe.negative, size=recipe.size, weighting=recipe.weighting, clip_skip=recipe.clip_skip
        )
        if self._once:
            let_go(*self.text.networks)
        seen = None if beside is None else beside.to(self.runtime.device)
        wanted, unwanted = (
            replace(Conditioning.of(text.context, text.pooled, text.sizes), beside=seen) for text in texts
        )

        most = recipe.group or recipe.count
        denoiser, speed = self.denoiser, speed_of(recipe.speed)
        if speed is not None:
            steps = CachedSteps(denoiser.network, speed, math.ceil(recipe.count / most))
            denoiser = replace(denoiser, step=steps)
        if denoiser.sight == "picture":
            picture_scale = recipe.edit.picture_guidance if recipe.edit else PICTURE_GUIDANCE
            guided = guide_by_picture(denoiser, wanted, unwanted, _guidance(recipe), picture_scale, levels)
        else:
            guided = guide(denoiser, wanted, unwanted, _guidance(recipe), levels)
        return _in_groups(guided, most) if most < recipe.count else guided

    def _shape(self, recipe: Recipe) -> tuple[int, int, int]:
        """Channels, height and width of a latent of the recipe's size, padded to what the denoiser takes."""
        space, multiple = self.denoiser.space, self.multiple
        height, width = (math.ceil(side / multiple) * multiple // space.factor for side in recipe.size)
        return space.channels, height, width


def check_size(size: tuple[int, int], multiple: int, name: str) -> None:
    """Raises RequestError for a height and width that the model `name` cannot draw, with the nearest that it can."""
    if any(side < multiple or side % multiple for side in size):
        smaller = [max(side // multiple, 1) * multiple for side in size]
        larger = [max(math.ceil(side / multiple), 1) * multiple for side in size]
        nearest = " or ".join(dict.fromkeys([_by(smaller), _by(larger)]))
        raise RequestError(f"The size is {_by(size)}, but {name} makes multiples of {multiple}; choose {nearest}.")


def check_speed(speed: str, backend: str) -> None:
    """Raises RequestError for a speed that is unknown, or that the back end does not go at."""
    if speed_of(speed) is not None and backend != EAGER:
        raise RequestError(
            f"The speed {speed} leaves out work, which the {backend} back end does not do; "
            "choose the eager one, or the speed exact."
        )


def usual_strength(denoiser: Denoiser, *, masked: bool = False) -> float:
    """How much of a picture may change where nobody says; `masked` if that is but a part of it, or beyond it."""
    if denoiser.refines:
        return REFINES
    return 1.0 if masked or denoiser.sight == "picture" else STRENGTH


def _in_groups(guided: Denoise, most: int) -> Denoise:
    """A denoiser that takes at most so many pictures at once."""

    def denoise(x: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
        return torch.cat([guided(part, level) for part in x.split(most)])

    return denoise


def _guidance(recipe: Recipe) -> Guidance:
    return Guidance(scale=recipe.guidance, rescale=recipe.guidance_rescale, interval=recipe.guidance_interval)


def _placed(network: Network, runtime: Runtime, *, own: bool) -> Network:
    """A copy of the network, or with `own` the network itself, ready to run and nothing else."""
    placed = network if own else copy.deepcopy(network)
    placed = placed.requires_grad_(False).eval()
    layout = torch.channels_last
    return placed.to(runtime.device, runtime.dtype, memory_format=layout)  # pyright: ignore[reportCallIssue] - its stub lacks this form


def _placed_denoiser(denoiser: Denoiser, runtime: Runtime, *, own: bool) -> Denoiser:
    """The denoiser where it runs; if by a compiler, its network still embeds the times and reads the text."""
    network = _placed(denoiser.network, runtime, own=own)
    step = through(_Graph(network, runtime)) if runtime.backend in COMPILERS else None
    return replace(denoiser, network=network, step=step)


class _Graph:
    """A U-Net's graph, made ready at the first step: a model that only encodes and decodes needs none."""

    def __init__(self, network: UNet, runtime: Runtime) -> None:
        self._network, self._runtime = network, runtime

    def __call__(self, *tensors: Tensor) -> Tensor:
        return self._run(*tensors)

    @cached_property
    def _run(self) -> Run:
        exact = replace(self._runtime, device=torch.device("cpu"), dtype=torch.float32)
        is_exact = (exact.device, exact.dtype) == (self._runtime.device, self._runtime.dtype)
        graph = UNetGraph(_placed(self._network, exact, own=is_exact))
        return self._runtime.runner().ready(
            Job(network=graph, example=graph.example(), multiple=graph.network.spec.multiple)
        )


def _by(size: Sequence[int]) -> str:
    """Height and width as people write them: width x height."""
    height, width = size
    return f"{width}x{height}"
