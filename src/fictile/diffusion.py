"""A recipe becomes latents: its words become conditioning, noise is drawn, and the noise is taken away again."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.denoiser import Conditioning, Denoiser, Guidance, guide
from fictile.engine import Runtime
from fictile.errors import FictileError, RequestError
from fictile.latent import Latent
from fictile.recipe import Recipe
from fictile.sampling import SAMPLERS, Callback, StepNoise, initial_noise, make_steps, sampler_name
from fictile.schedule import Level
from fictile.text import TextConditioner

Network = TypeVar("Network", bound=nn.Module)


class Diffusion:
    """A text encoder and a denoiser that belong together, placed where they run: copies, in the runtime's precision."""

    def __init__(self, name: str, text: TextConditioner, denoiser: Denoiser, runtime: Runtime) -> None:
        self.name = name
        self.runtime = runtime
        self.text = text.placed(lambda network: _placed(network, runtime))
        self.denoiser: Denoiser = replace(denoiser, network=_placed(denoiser.network, runtime))

    @property
    def multiple(self) -> int:
        """Heights and widths of pictures are multiples of this."""
        return self.denoiser.space.factor * self.denoiser.network.spec.multiple

    def check(self, recipe: Recipe, given: tuple[int, int] | None = None) -> None:
        """Raises RequestError for whatever is wrong with a recipe, before anything is computed.

        `given` is the height and width of the picture that it starts from, if it does.
        """
        if not recipe.prompt.strip():
            raise RequestError("The prompt is empty; say what the picture should show.")
        for text in (recipe.prompt, recipe.negative):
            self.text.read(text, weighting=recipe.weighting, clip_skip=recipe.clip_skip)
        if recipe.count < 1:
            raise RequestError(f"{recipe.count} pictures were asked for; make 1 or more.")
        if not math.isfinite(recipe.guidance):
            raise RequestError(f"The guidance is {recipe.guidance}; give a finite number, such as 5.")
        sampler_name(recipe.sampler)
        _guidance(recipe)
        self._levels(recipe)
        StepNoise((), (recipe.seed, recipe.seed + recipe.count - 1))
        self._check_size(recipe.size, given)

    def fitted(self, start: Latent) -> Latent:
        """A latent to start from, continued at its lower and right edge as far as the denoiser needs it.

        Raises SpaceMismatch for a latent of another space, RequestError for several or one that is not finite.
        """
        start.check(self.denoiser.space)
        if len(start) != 1:
            raise RequestError(f"The latent to start from holds {len(start)} pictures; give one of them, as latent[0].")
        if not start.data.isfinite().all():
            raise RequestError("The latent to start from has values that are not finite numbers; make it again.")
        height, width = start.data.shape[2:]
        cells = self.multiple // self.denoiser.space.factor
        data = F.pad(start.data.float(), (0, -width % cells, 0, -height % cells), mode="replicate")
        return replace(start.with_data(data.cpu()), size=start.picture_size)

    def sample(
        self, recipe: Recipe, start: Latent | None = None, callback: Callback | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The latents of all pictures that are made together with the one of this recipe, the first of them.

        `start` is the latent of the picture to start from, padded to `multiple`. The recipe has been checked.
        Raises FictileError when the result is not finite.
        """
        levels = self._levels(recipe)
        with torch.no_grad(), self.runtime.limited():
            x = self._start(recipe, levels[0], start)
            step_noise = StepNoise(tuple(x.shape[1:]), range(recipe.seed, recipe.seed + recipe.count))
            wanted, unwanted = self._conditioning(recipe)
            x0 = SAMPLERS[sampler_name(recipe.sampler)](
                guide(self.denoiser, wanted, unwanted, _guidance(recipe)),
                x,
                levels,
                noise=lambda step: step_noise(step).to(x.device),
                callback=callback,
            )
        if not x0.isfinite().all():
            raise FictileError(
                f"The latent has values that are not finite after {recipe.steps} steps in {recipe.precision}; "
                + ("lower the guidance." if recipe.precision == "float32" else "run again with precision float32.")
            )
        return x0.cpu()

    def _levels(self, recipe: Recipe) -> list[Level]:
        return make_steps(self.denoiser.schedule, recipe.schedule, recipe.steps, recipe.strength)

    def _check_size(self, size: tuple[int, int], given: tuple[int, int] | None) -> None:
        if given and size != given:
            raise RequestError(
                f"The size is {_by(size)}, but the picture to start from is {_by(given)}; "
                "leave the size out or resize the picture."
            )
        multiple = self.multiple
        if not given and any(side < multiple or side % multiple for side in size):
            smaller = [max(side // multiple, 1) * multiple for side in size]
            larger = [max(math.ceil(side / multiple), 1) * multiple for side in size]
            nearest = " or ".join(dict.fromkeys([_by(smaller), _by(larger)]))
            raise RequestError(
                f"The size is {_by(size)}, but {self.name} makes multiples of {multiple}; choose {nearest}."
            )

    def _conditioning(self, recipe: Recipe) -> tuple[Conditioning, Conditioning]:
        """What the pictures should show and what not, a row for each."""
        weighting, clip_skip = recipe.weighting, recipe.clip_skip
        both = self.text.condition(
            recipe.prompt, recipe.negative, size=recipe.size, weighting=weighting, clip_skip=clip_skip
        )
        wanted, unwanted = (
            Conditioning.of(text.context, text.pooled, text.sizes).repeat(recipe.count) for text in both
        )
        return wanted, unwanted

    def _start(self, recipe: Recipe, level: Level, start: Latent | None) -> Float[Tensor, "b c h w"]:
        """Noise, or a picture's latent under noise, as it stands at the first level.

        Noise alone stands in for a latent of variance 1 under noise, and so has their common variance,
        alpha^2 + sigma^2.
        """
        space, multiple = self.denoiser.space, self.multiple
        cells = (math.ceil(side / multiple) * multiple // space.factor for side in recipe.size)
        noise = initial_noise((space.channels, *cells), recipe.seed, recipe.count)
        if start is None:
            x = math.hypot(level.alpha, level.sigma) * noise
        else:
            x = level.alpha * start.data + level.sigma * noise
        return x.to(self.runtime.device)


def _guidance(recipe: Recipe) -> Guidance:
    return Guidance(scale=recipe.guidance, rescale=recipe.guidance_rescale, interval=recipe.guidance_interval)


def _placed(network: Network, runtime: Runtime) -> Network:
    """A copy of the network, ready to run and nothing else."""
    placed = copy.deepcopy(network).requires_grad_(False).eval().to(runtime.device, runtime.dtype)
    return placed.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub lacks this form


def _by(size: Sequence[int]) -> str:
    """Height and width as people write them: width x height."""
    height, width = size
    return f"{width}x{height}"
