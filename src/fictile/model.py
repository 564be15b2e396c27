"""The page where it all meets: a prompt becomes conditioning, noise becomes a latent, a latent becomes a picture."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fictile import __version__
from fictile.autoencoder import COMFY_SUFFIX, AnyAutoencoder, PrecisionMemory, read_comfy_latent
from fictile.checkpoint import Parts, load_model, open_model
from fictile.codec import AutoencoderCodec
from fictile.denoiser import Denoiser, Guidance
from fictile.diffusion import Diffusion
from fictile.engine import PRECISIONS, Runtime, choose_runtime, precision_name
from fictile.errors import RequestError
from fictile.latent import SUFFIX, Latent, LatentSpace
from fictile.picture import Picture, load_picture, save_picture
from fictile.recipe import IN_LATENT, Recipe
from fictile.sampling import AUTOMATIC, Callback, schedule_name, split_name
from fictile.text import Prompt, TextConditioner

PACKAGED = "emoji"
NEW_SEEDS = 2**32  # a drawn seed lies below; tools that read `parameters` expect 32 bits

PictureFile = str | Path
Start = PictureFile | Picture | Latent
"""What pictures can be started from; of files, pictures and latents."""
OnSampled = Callable[[Latent, Recipe], None]
"""Called with the latents of all pictures of a run and the recipe of the first, before any is decoded."""


@dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """A picture, the latent it was decoded from, and how it was made."""

    pixels: Float[Tensor, "3 h w"]  # float32 in [-1, 1], on the CPU
    latent: Latent  # a batch of one, on the CPU
    recipe: Recipe

    def save(self, path: PictureFile, *, strip: bool = False) -> None:
        """Write the picture; a PNG carries its recipe, unless `strip` leaves out all but the pixels.

        Raises RequestError when the place cannot be written to.
        """
        save_picture(self.pixels, path, None if strip else self.recipe.text_chunks())

    def save_latent(self, path: PictureFile, *, strip: bool = False) -> None:
        """Write the latent, with its recipe unless `strip` leaves it out: `Model.finish` makes the picture of it.

        Raises RequestError when the place cannot be written to.
        """
        self.latent.save(path, None if strip else {IN_LATENT: self.recipe.to_json()})


class Model:
    """An autoencoder, a text encoder and a denoiser that belong together, placed where they run.

    The networks are copies of those in `parts`, in the precision of the runtime. With a `memory`, an autoencoder that
    overflowed in it begins the next time in the wider one that it needed.
    """

    def __init__(self, parts: Parts, runtime: Runtime | None = None, *, memory: PrecisionMemory | None = None) -> None:
        runtime = runtime or choose_runtime()
        self.name = parts.name
        self.defaults = parts.defaults
        self.hashes = parts.hashes
        self.runtime = runtime
        self.codec = AutoencoderCodec(parts.autoencoder, runtime, memory=memory)
        self._diffusion = Diffusion(parts.name, parts.text, parts.denoiser, runtime)

    @property
    def autoencoder(self) -> AnyAutoencoder:
        """The autoencoder, in the precision that its next run begins with."""
        return self.codec.autoencoder

    @property
    def text(self) -> TextConditioner:
        """What reads the prompts."""
        return self._diffusion.text

    @property
    def denoiser(self) -> Denoiser:
        """What takes the noise away."""
        return self._diffusion.denoiser

    @property
    def space(self) -> LatentSpace:
        """The latent space of the model."""
        return self.codec.space

    @property
    def multiple(self) -> int:
        """Heights and widths of pictures are multiples of this."""
        return self._diffusion.multiple

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
        init: Start | None = None,
        strength: float = 1.0,
        weighting: str = "a1111",
        clip_skip: int = 1,
        callback: Callback | None = None,
        sampled: OnSampled | None = None,
    ) -> list[GeneratedPicture]:
        """Make `count` pictures of what the prompt says; whatever is None is the model's default.

        Args:
            negative: what they should not show.
            seed: of the first picture, the i-th has seed + i; one is drawn (and recorded) if None.
            steps: 1 to 1000.
            guidance: how strongly the prompt guides, 1 for no more than trained; or a `Guidance` with its interval.
            sampler: `sampling.SAMPLERS` lists them; A1111's and diffusers' names are taken too.
            schedule: of the steps; `sampling.SCHEDULES` lists them, and A1111's "Automatic" is as good as None.
            size: height and width, multiples of `multiple`. With something to start from, its own.
            init: a picture, or a latent (such as a mix), to start from instead of noise alone.
            strength: how much of it may change, above 0 and at most 1; without one it means nothing.
            weighting: how brackets in the prompts are read: "a1111" or "no_norm" as weights, "none" as they stand.
            clip_skip: 1, the layer of the text encoder that the model was trained with; 2, 3 ... are layers before the
                last, in A1111's counting.
            callback: called at each evaluation with (step index, level, x, x0).
            sampled: called once with the latents of all pictures and the recipe of the first, before any is decoded:
                to keep them, should decoding fail. `finish` goes on from there.

        Raises RequestError before anything is computed when an argument is out of its range, FictileError when the
        result is not finite.
        """
        given = None if init is None else open_start(init)
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
            size=size or (defaults.size if given is None else _size(given)),
            steps=defaults.steps if steps is None else steps,
            sampler=sampler,
            schedule=schedule_name(schedule or own_schedule or defaults.schedule),
            guidance=float(guidance.scale),
            guidance_rescale=guidance.rescale,
            guidance_interval=guidance.interval,
            strength=1.0 if given is None else strength,
            init=None if given is None else _hash(given),
            weighting=weighting,
            clip_skip=clip_skip,
            **self._identity(),
        )
        return self._pictures(self._sampled(recipe, given, callback), recipe, sampled)

    def count_tokens(self, prompt: str, *, weighting: str = "a1111") -> Prompt:
        """The prompt as the text encoder reads it: its tokens, its chunks, and what is weighted.

        Raises RequestError for a prompt that is too long for this model, or an unknown weighting.
        """
        return self.text.read(prompt, weighting=weighting)

    def replay(
        self,
        source: Recipe | PictureFile,
        *,
        init: Start | None = None,
        callback: Callback | None = None,
        sampled: OnSampled | None = None,
    ) -> GeneratedPicture:
        """Make a picture again from its recipe, or from the file that carries it; `init` is what it started from.

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
        given = None if init is None else open_start(init)
        _check_init(recipe.init, given)
        if not 0 <= recipe.index < recipe.count:
            raise RequestError(f"The recipe is of picture {recipe.index} of {recipe.count}; it was changed by hand.")
        first = replace(recipe, seed=recipe.seed - recipe.index, index=0, notes=(), **self._identity())
        latent = self._sampled(first, given, callback)[recipe.index]
        return self._pictures(latent, first.later(recipe.index), sampled)[0]

    def finish(self, latent: Latent, recipe: Recipe) -> list[GeneratedPicture]:
        """The pictures of latents that have been sampled before; `recipe` is that of the first.

        In the recipe's own runtime, `load(path, runtime=recipe.runtime)`, they are those that the run would have made.
        Raises SpaceMismatch for latents of another space, RequestError for those that are not finite, FictileError when
        the result is not.
        """
        latent.check(self.space)
        if not latent.data.isfinite().all():
            raise RequestError("The latent has values that are not finite numbers; make it again.")
        identity = self._identity()
        here = {name: identity[name] for name in ("vae_hash", "decode_precision")}
        return self._pictures(latent, replace(recipe, notes=(), **here))

    def encode(self, picture: PictureFile | Picture) -> Latent:
        """A picture of any size to its latent (the posterior's mean), on the CPU.

        The picture is mirrored beyond its lower and right edge where the autoencoder needs more; the latent remembers
        the true size. Raises RequestError for what is no picture.
        """
        return self.codec.encode(_opened(picture))

    def as_latent(self, source: Start, *, space: str | None = None) -> Latent:
        """The latent of a picture or a latent file, Fictile's or ComfyUI's; `space` names that of the latter.

        Raises SpaceMismatch for a latent of another space, RequestError for what is neither picture nor latent.
        """
        if isinstance(source, str | Path) and Path(source).suffix == COMFY_SUFFIX:
            source = read_comfy_latent(source, space)
        start = open_start(source)
        if isinstance(start, Picture):
            return self.encode(start)
        start.check(self.space)
        return start

    def decode(self, latent: Latent) -> Picture:
        """A latent of one picture to the picture, in its true size.

        Raises SpaceMismatch for a latent of another space, RequestError for several, FictileError when the result is
        not finite.
        """
        return self.codec.decode(latent)

    def _sampled(self, recipe: Recipe, init: Picture | Latent | None, callback: Callback | None) -> Latent:
        """The latents of all pictures that are made together with the one of this recipe, the first of them."""
        self._diffusion.check(recipe, None if init is None else _size(init))
        if isinstance(init, Latent):
            start = self._diffusion.fitted(init)
        elif init is not None:
            start, notes = self.codec.encoded(init, self.multiple, PRECISIONS[recipe.decode_precision])
            self.codec.tell(notes)
        else:
            start = None
        x0 = self._diffusion.sample(recipe, start, callback)
        return Latent(x0, self.space, recipe.size, self.codec.content_hash)

    def _pictures(self, latent: Latent, recipe: Recipe, sampled: OnSampled | None = None) -> list[GeneratedPicture]:
        """The latents decoded one by one; the recipe is that of the first."""
        if sampled:
            sampled(latent, recipe)
        return [self._picture(one, recipe.later(index)) for index, one in enumerate(latent)]

    def _picture(self, latent: Latent, recipe: Recipe) -> GeneratedPicture:
        pixels, notes = self.codec.decoded(latent, PRECISIONS[recipe.decode_precision])
        return GeneratedPicture(pixels=pixels, latent=latent, recipe=replace(recipe, notes=notes))

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
            "decode_precision": precision_name(self.codec.dtype),
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


def open_start(init: Start) -> Picture | Latent:
    """What `generate` starts from: a file whose name ends in .latent.safetensors is a latent, any other a picture.

    Raises RequestError for what is neither.
    """
    if isinstance(init, str | Path) and str(init).endswith(SUFFIX):
        return Latent.load(init)
    return init if isinstance(init, Latent) else _opened(init)


def _opened(picture: PictureFile | Picture) -> Picture:
    return picture if isinstance(picture, Picture) else load_picture(picture)


def _size(start: Picture | Latent) -> tuple[int, int]:
    """Height and width in pixels."""
    if isinstance(start, Picture):
        return start.height, start.width
    return start.picture_size


def _check_init(needed: str | None, given: Picture | Latent | None) -> None:
    """Raises RequestError unless `given` is the picture or latent whose hash a recipe needs, or both are None."""
    if needed == (None if given is None else _hash(given)):
        return
    if given is None:
        problem = "a picture, and none was given; give that picture"
    elif needed is None:
        problem = "noise alone, and a picture was given; leave it out"
    else:
        problem = "another picture than the one given; give that one"
    raise RequestError(f"The recipe started from {problem}.")


def _hash(start: Picture | Latent) -> str:
    """SHA-256 of the values."""
    values = start.pixels if isinstance(start, Picture) else start.data.float()
    return hashlib.sha256(values.cpu().contiguous().numpy().tobytes()).hexdigest()
