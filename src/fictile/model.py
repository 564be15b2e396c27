"""The page where it all meets: a prompt becomes conditioning, noise becomes a latent, a latent becomes a picture."""

import copy
import hashlib
import logging
import math
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile import __version__
from fictile.autoencoder import AnyAutoencoder, PrecisionLadder, PrecisionMemory
from fictile.checkpoint import Parts, load_model, open_model
from fictile.denoiser import Conditioning, Denoiser, Guidance, guide
from fictile.engine import PRECISIONS, Runtime, choose_runtime
from fictile.errors import FictileError, RequestError
from fictile.latent import Latent, LatentSpace
from fictile.picture import Picture, crop, load_picture, pad_to_multiple, save_picture
from fictile.recipe import Recipe
from fictile.sampling import (
    AUTOMATIC,
    SAMPLERS,
    Callback,
    StepNoise,
    initial_noise,
    make_steps,
    sampler_name,
    schedule_name,
    split_name,
)
from fictile.schedule import Level
from fictile.text import Prompt

PACKAGED = "emoji"
NEW_SEEDS = 2**32  # a drawn seed lies below; tools that read `parameters` expect 32 bits

Network = TypeVar("Network", bound=nn.Module)
PictureFile = str | Path


@dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """A picture, the latent it was decoded from, and how it was made."""

    pixels: Float[Tensor, "3 h w"]  # float32 in [-1, 1], on the CPU
    latent: Latent  # a batch of one, on the CPU
    recipe: Recipe

    def save(self, path: PictureFile) -> None:
        """Write the picture; a PNG carries its recipe. Raises RequestError when the place cannot be written to."""
        save_picture(self.pixels, path, self.recipe.text_chunks())


class Model:
    """An autoencoder, a text encoder and a denoiser that belong together, placed where they run.

    The networks are copies of those in `parts`, in the precision of the runtime. An autoencoder that overflows in it
    runs again in a wider one; with a `memory`, the next picture begins there, and so does the next model with this
    autoencoder.
    """

    def __init__(self, parts: Parts, runtime: Runtime | None = None, *, memory: PrecisionMemory | None = None) -> None:
        runtime = runtime or choose_runtime()
        self.name = parts.name
        self.defaults = parts.defaults
        self.hashes = parts.hashes
        self.runtime = runtime
        self._ladder = PrecisionLadder(parts.autoencoder, runtime.device)
        self._memory = memory
        self._told: set[str] = set()
        self._ladder.at(self._decode_dtype)  # now, not at the first picture
        self.text = parts.text.placed(lambda network: _placed(network, runtime.device, runtime.dtype))
        self.denoiser: Denoiser = replace(
            parts.denoiser, network=_placed(parts.denoiser.network, runtime.device, runtime.dtype)
        )

    @property
    def autoencoder(self) -> AnyAutoencoder:
        """The autoencoder, in the precision that its next run begins with."""
        return self._ladder.at(self._decode_dtype)

    @property
    def _decode_dtype(self) -> torch.dtype:
        wanted = self.runtime.decode_dtype
        return self._memory.start(self._ladder.content_hash, wanted) if self._memory else wanted

    @property
    def space(self) -> LatentSpace:
        """The latent space of the model."""
        return self._ladder.space

    @property
    def multiple(self) -> int:
        """Heights and widths of pictures are multiples of this."""
        return self.space.factor * self.denoiser.network.spec.multiple

    def generate(
        self,
        prompt: str,
        *,
        negative: str = "",
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | Guidance | None = None,
        sampler: str | None = None,
        schedule: str | None = None,
        size: tuple[int, int] | None = None,
        count: int = 1,
        init: PictureFile | Picture | None = None,
        strength: float = 1.0,
        weighting: str = "a1111",
        clip_skip: int = 1,
        callback: Callback | None = None,
    ) -> list[GeneratedPicture]:
        """Make `count` pictures of what the prompt says; whatever is None is the model's default.

        Args:
            negative: what they should not show.
            seed: of the first picture, the i-th has seed + i; one is drawn (and recorded) if None.
            steps: 1 to 1000.
            guidance: how strongly the prompt guides, 1 for no more than trained; or a `Guidance` with its interval.
            sampler: `sampling.SAMPLERS` lists them; A1111's and diffusers' names are taken too.
            schedule: of the steps; `sampling.SCHEDULES` lists them, and A1111's "Automatic" is as good as None.
            size: height and width, multiples of `multiple`. With an init picture, its own.
            init: a picture to start from instead of noise alone.
            strength: how much of the init picture may change, above 0 and at most 1; without one it means nothing.
            weighting: how brackets in the prompts are read: "a1111" or "no_norm" as weights, "none" as they stand.
            clip_skip: 1, the layer of the text encoder that the model was trained with; 2, 3 ... are layers before the
                last, in A1111's counting.
            callback: called at each evaluation with (step index, level, x, x0).

        Raises RequestError before anything is computed when an argument is out of its range, FictileError when the
        result is not finite.
        """
        given = load_picture(init) if isinstance(init, str | Path) else init
        defaults = self.defaults
        if not isinstance(guidance, Guidance):
            guidance = Guidance(
                scale=defaults.guidance if guidance is None else guidance,
                rescale=defaults.guidance_rescale,
                interval=defaults.guidance_interval,
            )
        sampler, own_schedule = split_name(sampler or defaults.sampler)
        if schedule and schedule.strip().lower() == AUTOMATIC:
            schedule = None
        recipe = Recipe(
            prompt=prompt,
            negative=negative,
            seed=secrets.randbelow(NEW_SEEDS) if seed is None else seed,
            index=0,
            count=count,
            size=size or ((given.height, given.width) if given else defaults.size),
            steps=defaults.steps if steps is None else steps,
            sampler=sampler,
            schedule=schedule_name(schedule or own_schedule or defaults.schedule),
            guidance=float(guidance.scale),
            guidance_rescale=guidance.rescale,
            guidance_interval=guidance.interval,
            strength=strength if given else 1.0,
            init=_pixel_hash(given) if given else None,
            weighting=weighting,
            clip_skip=clip_skip,
            **self._identity(),
        )
        latent = self._sampled(recipe, given, callback)
        return [self._picture(latent[index], recipe, index) for index in range(count)]

    def count_tokens(self, prompt: str, *, weighting: str = "a1111") -> Prompt:
        """The prompt as the text encoder reads it: its tokens, its chunks, and what is weighted.

        Raises RequestError for a prompt that is too long for this model, or an unknown weighting.
        """
        return self.text.read(prompt, weighting=weighting)

    def replay(
        self,
        source: Recipe | PictureFile,
        *,
        init: PictureFile | Picture | None = None,
        callback: Callback | None = None,
    ) -> GeneratedPicture:
        """Make a picture again from its recipe, or from the PNG that carries it; `init` is the one it started from.

        The same bytes come out on the same machine with the same versions, in the recipe's own runtime:
        `load(path, runtime=recipe.runtime)`. Elsewhere `Recipe.differences` tells what has changed.

        Raises RequestError when the recipe needs another model or another init picture.
        """
        recipe = source if isinstance(source, Recipe) else Recipe.read(source)
        here = self.hashes.model if self.hashes else None
        if recipe.model_hash is None or recipe.model_hash != here:
            raise RequestError(
                f"The recipe needs the model {recipe.model} with hash {(recipe.model_hash or 'none')[:10]}, but "
                f"{self.name} with hash {(here or 'none')[:10]} is loaded; load that model."
            )
        given = load_picture(init) if isinstance(init, str | Path) else init
        _check_init(recipe.init, given)
        if not 0 <= recipe.index < recipe.count:
            raise RequestError(f"The recipe is of picture {recipe.index} of {recipe.count}; it was changed by hand.")
        first = replace(recipe, seed=recipe.seed - recipe.index, index=0, notes=(), **self._identity())
        return self._picture(self._sampled(first, given, callback)[recipe.index], first, recipe.index)

    def encode(self, picture: PictureFile | Picture) -> Latent:
        """A picture of any size to its latent (the posterior's mean), on the CPU.

        The picture is mirrored beyond its lower and right edge where the autoencoder needs more; the latent remembers
        the true size. Raises RequestError for what is no picture.
        """
        given = load_picture(picture) if isinstance(picture, str | Path) else picture
        latent, notes = self._encode(given, self.space.factor, self._decode_dtype)
        self._tell(notes)
        return latent

    def decode(self, latent: Latent) -> Picture:
        """A latent of one picture to the picture, in its true size.

        Raises SpaceMismatch for a latent of another space, RequestError for several, FictileError when the result is
        not finite.
        """
        latent.check(self.space)
        if len(latent) != 1:
            raise RequestError(f"The latent holds {len(latent)} pictures; decode them one by one, as latent[0].")
        if not latent.data.isfinite().all():
            raise RequestError("The latent has values that are not finite numbers; make it again.")
        pixels, notes = self._decode(latent, self._decode_dtype)
        self._tell(notes)
        return Picture(pixels)

    def _sampled(self, recipe: Recipe, init: Picture | None, callback: Callback | None) -> Latent:
        """The latents of all pictures that are made together with the one of this recipe, the first of them."""
        self._check(recipe, init)
        sampler = SAMPLERS[sampler_name(recipe.sampler)]
        guidance = Guidance(scale=recipe.guidance, rescale=recipe.guidance_rescale, interval=recipe.guidance_interval)
        levels = make_steps(self.denoiser.schedule, recipe.schedule, recipe.steps, recipe.strength)
        with torch.no_grad(), _threads(self.runtime.threads):
            x = self._start(recipe, levels[0], init)
            step_noise = StepNoise(tuple(x.shape[1:]), range(recipe.seed, recipe.seed + recipe.count))
            wanted, unwanted = self._conditioning(recipe)
            x0 = sampler(
                guide(self.denoiser, wanted, unwanted, guidance),
                x,
                levels,
                noise=lambda step: step_noise(step).to(x.device),
                callback=callback,
            )
        return self._finished(x0, recipe)

    def _check(self, recipe: Recipe, init: Picture | None) -> None:
        """Raises RequestError for what the parts below would only notice after they have started to compute."""
        if not recipe.prompt.strip():
            raise RequestError("The prompt is empty; say what the picture should show.")
        for text in (recipe.prompt, recipe.negative):
            self.text.read(text, weighting=recipe.weighting, clip_skip=recipe.clip_skip)
        if recipe.count < 1:
            raise RequestError(f"{recipe.count} pictures were asked for; make 1 or more.")
        if not math.isfinite(recipe.guidance):
            raise RequestError(f"The guidance is {recipe.guidance}; give a finite number, such as 5.")
        if init and recipe.size != (init.height, init.width):
            raise RequestError(
                f"The size is {_by(recipe.size)}, but the picture to start from is {init.width}x{init.height}; "
                "leave the size out or resize the picture."
            )
        multiple = self.multiple
        if not init and any(side < multiple or side % multiple for side in recipe.size):
            smaller = [max(side // multiple, 1) * multiple for side in recipe.size]
            larger = [max(math.ceil(side / multiple), 1) * multiple for side in recipe.size]
            nearest = " or ".join(dict.fromkeys([_by(smaller), _by(larger)]))
            raise RequestError(
                f"The size is {_by(recipe.size)}, but {self.name} makes multiples of {multiple}; choose {nearest}."
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

    def _start(self, recipe: Recipe, level: Level, init: Picture | None) -> Float[Tensor, "b c h w"]:
        """Noise, or the init picture's latent under noise, as it stands at the first level.

        Noise alone stands in for a latent of variance 1 under noise, and so has their common variance,
        alpha^2 + sigma^2.
        """
        cells = (math.ceil(side / self.multiple) * self.multiple // self.space.factor for side in recipe.size)
        noise = initial_noise((self.space.channels, *cells), recipe.seed, recipe.count)
        if init is None:
            x = math.hypot(level.alpha, level.sigma) * noise
        else:
            latent, notes = self._encode(init, self.multiple, PRECISIONS[recipe.decode_precision])
            self._tell(notes)
            x = level.alpha * latent.data + level.sigma * noise
        return x.to(self.runtime.device)

    def _finished(self, x0: Float[Tensor, "b c h w"], recipe: Recipe) -> Latent:
        """The sampler's result as a latent on the CPU. Raises FictileError when it is not finite."""
        if not x0.isfinite().all():
            raise FictileError(
                f"The latent has values that are not finite after {recipe.steps} steps in {recipe.precision}; "
                + ("lower the guidance." if recipe.precision == "float32" else "run again with precision float32.")
            )
        return Latent(x0.cpu(), self.space, recipe.size, self._ladder.content_hash)

    def _picture(self, latent: Latent, recipe: Recipe, index: int) -> GeneratedPicture:
        pixels, notes = self._decode(latent, PRECISIONS[recipe.decode_precision])
        recipe = replace(recipe, seed=recipe.seed + index, index=index, notes=notes)
        return GeneratedPicture(pixels=pixels, latent=latent, recipe=recipe)

    def _encode(self, picture: Picture, multiple: int, dtype: torch.dtype) -> tuple[Latent, tuple[str, ...]]:
        """The latent of a picture that is mirrored beyond its edge up to a multiple, and what was done otherwise."""
        pixels, size = pad_to_multiple(picture.pixels[None], multiple)
        with _threads(self.runtime.threads):
            posterior, used = self._ladder.encode(pixels, dtype)
        latent = Latent(posterior.mean.cpu(), self.space, size, self._ladder.content_hash)
        return latent, self._widened("encoded", dtype, used)

    def _decode(self, latent: Latent, dtype: torch.dtype) -> tuple[Float[Tensor, "3 h w"], tuple[str, ...]]:
        """The pixels of one latent in their true size, and what had to be done otherwise than asked."""
        with _threads(self.runtime.threads):
            pixels, used = self._ladder.decode(latent, dtype)
        whole = latent.size or (pixels.shape[2], pixels.shape[3])
        return crop(pixels[0].cpu(), whole).clamp(-1, 1), self._widened("decoded", dtype, used)

    def _widened(self, done: str, asked: torch.dtype, used: torch.dtype) -> tuple[str, ...]:
        """A note, and a memory, of a run that needed a wider precision than was asked for."""
        if used == asked:
            return ()
        if self._memory:
            self._memory.remember(self._ladder.content_hash, used)
        return (f"{done} in {_precision(used)}, because {_precision(asked)} overflowed",)

    def _tell(self, notes: tuple[str, ...]) -> None:
        """Say, once each, what no recipe will."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                logging.getLogger(__name__).warning("The picture was %s.", note)

    def _identity(self) -> dict[str, Any]:
        """The part of a recipe that is the same for all pictures of this model in this place."""
        hashes = self.hashes
        return {
            "model": self.name,
            "model_hash": hashes and hashes.model,
            "vae_hash": hashes and hashes.vae,
            "unet_hash": hashes and hashes.unet,
            "text_hash": hashes and hashes.text,
            "space": self.space.id,
            "precision": self.runtime.precision,
            "decode_precision": _precision(self._decode_dtype),
            "device": str(self.runtime.device),
            "threads": self.runtime.threads,
            "fictile": __version__,
            "torch": torch.__version__,
        }


def load(
    path: str | Path | None = None, *, device: str = "auto", precision: str = "auto", runtime: Runtime | None = None
) -> Model:
    """A model, or the packaged one: a folder of Fictile's or of diffusers, a single file of Stable Diffusion, or
    `hub:owner/name[/file]`. `runtime`, if given, takes the place of `device` and `precision`.

    Without a `runtime`, an autoencoder that has overflowed before begins in the precision that it needed then.

    Raises RequestError for what is no whole model, or when the device or precision is not to be had.
    """
    memory = PrecisionMemory() if runtime is None else None
    runtime = runtime or choose_runtime(device, precision)
    if path is not None:
        return Model(open_model(path), runtime, memory=memory)
    with as_file(files("fictile") / "builtin" / PACKAGED) as folder:
        return Model(load_model(folder), runtime, memory=memory)


def _placed(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """A copy of the network, ready to run and nothing else."""
    placed = copy.deepcopy(network).requires_grad_(False).eval().to(device, dtype)
    return placed.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub lacks this form


@contextmanager
def _threads(count: int) -> Generator[None]:
    """torch on this many CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _precision(dtype: torch.dtype) -> str:
    return next(name for name, one in PRECISIONS.items() if one == dtype)


def _check_init(needed: str | None, given: Picture | None) -> None:
    """Raises RequestError unless `given` is the picture whose hash a recipe needs, or both are None."""
    if needed == (given and _pixel_hash(given)):
        return
    if given is None:
        problem = "a picture, and none was given; give that picture"
    elif needed is None:
        problem = "noise alone, and a picture was given; leave it out"
    else:
        problem = "another picture than the one given; give that one"
    raise RequestError(f"The recipe started from {problem}.")


def _pixel_hash(picture: Picture) -> str:
    return hashlib.sha256(picture.pixels.cpu().contiguous().numpy().tobytes()).hexdigest()


def _by(size: Sequence[int]) -> str:
    """Height and width as people write them: width x height."""
    height, width = size
    return f"{width}x{height}"
