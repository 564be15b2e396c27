"""The page where it all meets: a prompt becomes conditioning, noise becomes a latent, a latent becomes a picture."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fictile import __version__
from fictile.autoencoder import AnyAutoencoder, PrecisionMemory
from fictile.checkpoint import Parts
from fictile.codec import AutoencoderCodec
from fictile.denoiser import EXACT, Denoiser, Guidance
from fictile.diffusion import Diffusion, usual_strength
from fictile.drawing import Drawing
from fictile.editing import input_hash, past
from fictile.engine import Runtime, choose_runtime, precision_name
from fictile.errors import RequestError
from fictile.latent import Latent, LatentSpace
from fictile.made import (
    EditedPicture,
    GeneratedPicture,
    Init,
    Mixed,
    OnSampled,
    PictureFile,
    check_init,
    check_model,
    edited_file,
    init_hash,
    init_size,
    opened_apart,
    opened_picture,
)
from fictile.matching import open_preview
from fictile.mixing import mixed, mixed_again
from fictile.picture import Mask, Picture, Source, open_source
from fictile.recipe import FEATHER, PADDING, PICTURE_GUIDANCE, Edit, Recipe
from fictile.sampling import Callback, chosen_names
from fictile.text import Prompt, TextConditioner

DECODES = ("vae_hash", "vae_origin", "vae_forced", "decode_precision")  # the fields of a recipe that say what decodes
NEW_SEEDS = 2**32  # a drawn seed lies below; tools that read `parameters` expect 32 bits


class Model:
    """An autoencoder, a text encoder and a denoiser that belong together, placed where they run.

    The networks are copies of those in `parts`, in the precision of the runtime. With `own` the parts are given away:
    their networks are moved there tensor by tensor, and so held once; nobody else may use them any more. With `once`
    as well they make pictures a single time: each network is let go of after its last use (see `Diffusion`). With a
    `memory`, an autoencoder that overflowed in a precision begins the next time in the wider one that it needed.
    """

    def __init__(
        self,
        parts: Parts,
        runtime: Runtime | None = None,
        *,
        memory: PrecisionMemory | None = None,
        own: bool = False,
        once: bool = False,
    ) -> None:
        runtime = runtime or choose_runtime()
        self.name = parts.name
        self.defaults = parts.defaults
        self.hashes = parts.hashes
        self.vae_origin = parts.vae_origin  # which autoencoder it has and why, for people
        self.vae_forced = parts.vae_forced
        self.runtime = runtime
        self.codec = AutoencoderCodec(parts.autoencoder, runtime, memory=memory, own=own)
        diffusion = Diffusion(parts.name, parts.text, parts.denoiser, runtime, own=own, once=once)
        self._drawing = Drawing(self.codec, diffusion, parts.defaults.size)
        self._previews = lru_cache(2)(partial(open_preview, self.codec, name=self.name))

    @property
    def autoencoder(self) -> AnyAutoencoder:
        """The autoencoder, in the precision that its next run begins with."""
        return self.codec.autoencoder

    @property
    def text(self) -> TextConditioner:
        """What reads the prompts."""
        return self._drawing.diffusion.text

    @property
    def denoiser(self) -> Denoiser:
        """What takes the noise away."""
        return self._drawing.diffusion.denoiser

    @property
    def space(self) -> LatentSpace:
        """The latent space of the model."""
        return self.codec.space

    @property
    def multiple(self) -> int:
        """Heights and widths of pictures are multiples of this."""
        return self._drawing.diffusion.multiple

    def usual_strength(self, *, masked: bool = False) -> float:
        """How much of a picture may change where nobody says; `masked` if that is but a part of it, or beyond it."""
        return usual_strength(self.denoiser, masked=masked)

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
        init: Init | None = None,
        strength: float | None = None,
        weighting: str = "a1111",
        clip_skip: int = 1,
        tiling: str = "auto",
        group: int | None = None,
        speed: str = EXACT,
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
            strength: how much of it may change: at 0 it only takes the trip through the latent space, and needs no
                prompt; at 1 it leaves nothing but its size; if None, `usual_strength`. Without one it means nothing.
            weighting: how brackets in the prompts are read: "a1111" or "no_norm" as weights, "none" as they stand.
            clip_skip: 1, the layer of the text encoder that the model was trained with; 2, 3 ... are layers before the
                last, in A1111's counting.
            tiling: "on" encodes and decodes in bands of rows, exactly and in little memory; "off" never does; "auto"
                does where the whole would not fit into the free memory.
            group: how many pictures are denoised at once, which takes less memory; None is all of them.
            speed: "exact"; "fast", "faster" and "fastest" leave out work for nearly the same picture (docs/speed.md).
            callback: called at each evaluation with (step index, level, x, x0); `preview` shows what x0 looks like.
            sampled: called once with the latents of all pictures and the recipe of the first, before any is decoded:
                to keep them, should decoding fail. `finish` goes on from there.

        Raises RequestError before anything is computed when an argument is out of its range, FictileError when the
        result is not finite.
        """
        given, mix = opened_apart(init)
        recipe = self._recipe(
            prompt=prompt,
            negative=negative,
            seed=seed,
            steps=steps,
            guidance=guidance,
            sampler=sampler,
            schedule=schedule,
            count=count,
            size=size or (self.defaults.size if given is None else init_size(given)),
            strength=1.0 if given is None else self.usual_strength() if strength is None else strength,
            init=None if given is None else init_hash(given),
            mix=mix,
            weighting=weighting,
            clip_skip=clip_skip,
            tiling=tiling,
            group=group,
            speed=speed,
        )
        return self._drawing.generated(recipe, given, range(count), callback, sampled)

    def edit(
        self,
        picture: PictureFile | Source,
        prompt: str,
        *,
        mask: PictureFile | Mask | None = None,
        strength: float | None = None,
        feather: float = FEATHER,
        outpaint: tuple[int, int, int, int] = (0, 0, 0, 0),
        only_masked: bool = False,
        padding: int = PADDING,
        match_colours: bool = True,
        picture_guidance: float = PICTURE_GUIDANCE,
        cover: bool = False,
        negative: str = "",
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | Guidance | None = None,
        sampler: str | None = None,
        schedule: str | None = None,
        count: int = 1,
        weighting: str = "a1111",
        clip_skip: int = 1,
        tiling: str = "auto",
        group: int | None = None,
        speed: str = EXACT,
        callback: Callback | None = None,
        sampled: OnSampled | None = None,
    ) -> list[EditedPicture]:
        """Make `count` edits of a picture, and paint them over the samples of its file.

        What neither the mask nor its feather reaches comes back sample by sample; the recipe holds the proof, which
        `editing.verify` checks. Whatever is not named here is as in `generate`.

        Args:
            picture: a file, in whatever size, depth, profile and orientation.
            mask: what may change: a picture file (white may, black may not) or a `Mask`; None is all of the picture.
                Greys are strengths, and do not make the edit transparent (differential diffusion, arXiv 2306.00950).
            strength: 0 (the picture's trip through the latent space) to 1 (from pure noise). If None, 1 with a mask,
                and for models that see a picture, else 0.75; 0.3 for a refiner.
            feather: pixels around the mask over which the edit fades into the picture.
            outpaint: pixels by which the canvas grows at left, top, right and bottom; they may change entirely.
            only_masked: show the model only the mask and its surroundings, scaled to the size it was made for.
            padding: pixels of surroundings that it sees then.
            match_colours: take back what the autoencoder does to the colours, as it is seen around the mask.
            picture_guidance: how strongly to keep to the picture, for instruct-pix2pix models: 1 to 2.
            cover: make what was transparent opaque where it is edited; alpha stays as it is otherwise. What is new of
                a larger canvas is always opaque.

        Raises RequestError before anything is computed when an argument is out of its range or the file cannot be
        painted on, FictileError when the result is not finite.
        """
        source = picture if isinstance(picture, Source) else open_source(picture)
        if isinstance(mask, str | Path):
            mask = Mask.open(mask)
        if mask is not None:
            mask.check((source.height, source.width))
        if strength is None:
            strength = self.usual_strength(masked=mask is not None or any(outpaint))
        recipe = self._recipe(
            prompt=prompt,
            negative=negative,
            seed=seed,
            steps=steps,
            guidance=guidance,
            sampler=sampler,
            schedule=schedule,
            count=count,
            size=(source.height, source.width),
            strength=strength,
            weighting=weighting,
            clip_skip=clip_skip,
            tiling=tiling,
            group=group,
            speed=speed,
            init=None,
            edit=Edit(
                input=input_hash(source),
                mask=mask and mask.to_text(),
                feather=feather,
                outpaint=outpaint,
                only_masked=only_masked,
                padding=padding,
                match_colours=match_colours,
                picture_guidance=picture_guidance,
                cover=cover,
            ),
            history=past(source.text),
        )
        return self._drawing.edited(recipe, source, range(count), callback, sampled)

    def count_tokens(self, prompt: str, *, weighting: str = "a1111") -> Prompt:
        """The prompt as the text encoder reads it: its tokens, its chunks, and what is weighted.

        Raises RequestError for a prompt that is too long for this model, or an unknown weighting.
        """
        return self.text.read(prompt, weighting=weighting)

    def replay(
        self,
        source: Recipe | PictureFile,
        *,
        init: Init | Source | tuple[Init, Init] | None = None,
        callback: Callback | None = None,
        sampled: OnSampled | None = None,
    ) -> GeneratedPicture | EditedPicture:
        """Make a picture again from its recipe, or from the file that carries it; `init` is what it started from, if
        that was a mix the mix or the two that became it.

        The same bytes come out on the same machine with the same versions, in the recipe's own runtime:
        `load(path, runtime=recipe.runtime)`. Elsewhere `Recipe.differences` tells what has changed.

        Raises RequestError when the recipe needs another model or another init picture.
        """
        recipe = source if isinstance(source, Recipe) else Recipe.read(source)
        check_model(recipe, self.name, self.hashes, self.vae_origin)
        first = replace(recipe, seed=recipe.seed - recipe.index, index=0, notes=(), **self._identity())
        if isinstance(init, tuple):
            given = mixed_again(self.codec, recipe, *init)
        elif recipe.edit:
            return self._drawing.edited(first, edited_file(init), [recipe.index], callback, sampled)[0]
        else:
            given, _ = opened_apart(init)
            check_init(recipe, given)
        return self._drawing.generated(first, given, [recipe.index], callback, sampled)[0]

    def finish(
        self, latent: Latent, recipe: Recipe, *, init: Init | Source | None = None
    ) -> Sequence[GeneratedPicture | EditedPicture]:
        """The pictures of latents that have been sampled before; `recipe` is that of the first.

        `init` is the file that was edited, if the recipe is of an edit. In the recipe's own runtime,
        `load(path, runtime=recipe.runtime)`, they are those that the run would have made.
        Raises SpaceMismatch for latents of another space, RequestError for those that are not finite, FictileError when
        the result is not.
        """
        latent.check(self.space)
        if not latent.data.isfinite().all():
            raise RequestError("The latent has values that are not finite numbers; make it again.")
        identity = self._identity()
        same = identity["vae_hash"] == recipe.vae_hash  # then it has the old name, wherever it lies now
        changed = {name: identity[name] for name in DECODES if not (same and name == "vae_origin")}
        recipe = replace(recipe, notes=(), **changed)
        if recipe.edit is None:
            return self._drawing.decoded(latent, recipe)
        return self._drawing.finished(latent, recipe, edited_file(init))

    def encode(self, picture: PictureFile | Picture, *, tiling: str = "auto") -> Latent:
        """A picture of any size to its latent (the posterior's mean), on the CPU.

        The picture is mirrored beyond its lower and right edge where the autoencoder needs more; the latent remembers
        the true size. `tiling` is as in `generate`. Raises RequestError for what is no picture.
        """
        return self.codec.encode(opened_picture(picture), tiling=tiling)

    def mix(
        self,
        first: Init,
        second: Init,
        how: str = "blend",
        *,
        weight: float | None = None,
        radius: float | None = None,
        mask: PictureFile | Mask | None = None,
        at: tuple[int, int] | None = None,
        feather: float | None = None,
        space: str | None = None,
    ) -> Mixed:
        """Two pictures or latents mixed in the latent space, in one of the ways of `latent.mix.WAYS`.

        To start from it, `generate` takes it as `init`; its recipe then says what was mixed. At strength 0, and with no
        prompt, that is the picture of the mix itself. `space` is that of latents that do not say it, as ComfyUI's.

        Raises SpaceMismatch for a latent of another space, RequestError for what cannot be opened or does not fit.
        """
        told = {"weight": weight, "radius": radius, "at": at, "feather": feather}
        return mixed(self.codec, first, second, how, mask=mask, space=space, **told)

    def decode(self, latent: Latent, *, tiling: str = "auto") -> Picture:
        """A latent of one picture to the picture, in its true size. `tiling` is as in `generate`.

        Raises SpaceMismatch for a latent of another space, RequestError for several, FictileError when the result is
        not finite.
        """
        return self.codec.decode(latent, tiling=tiling)

    def preview(self, latents: Latent | Float[Tensor, "b c h w"], *, vae: PictureFile | None = None) -> Picture:
        """A quick look at latents of the model's space, such as the x0 that a callback hears of; several on one sheet.

        By the colours of their channels, or through the decoder of `vae`, a tiny autoencoder above all (docs/latents.md
        says how near each comes). The picture has the size of what will be decoded, 2048 pixels along a side at most.

        Raises SpaceMismatch for latents and decoders of another space, RequestError for values that are not finite.
        """
        return self._previews(vae)(latents)

    def _recipe(
        self,
        *,
        seed: int | None,
        steps: int | None,
        guidance: float | Guidance | None,
        sampler: str | None,
        schedule: str | None,
        **chosen: Any,  # fields of `Recipe` that need no default
    ) -> Recipe:
        """The recipe of the first picture; whatever is None is the model's default."""
        defaults = self.defaults
        guided = defaults.guided(guidance)
        sampler, schedule = chosen_names(sampler, schedule, usual=(defaults.sampler, defaults.schedule))
        return Recipe(
            seed=secrets.randbelow(NEW_SEEDS) if seed is None else seed,
            index=0,
            steps=defaults.steps if steps is None else steps,
            sampler=sampler,
            schedule=schedule,
            guidance=float(guided.scale),
            guidance_rescale=guided.rescale,
            guidance_interval=guided.interval,
            **chosen,
            **self._identity(),
        )

    def _identity(self) -> dict[str, Any]:
        """The part of a recipe that is the same for all pictures of this model in this place."""
        hashes = self.hashes
        return {
            "model": self.name,
            "model_hash": hashes and hashes.model,
            "vae_hash": hashes and hashes.vae,
            "vae_origin": self.vae_origin,
            "vae_forced": self.vae_forced,
            "unet_hash": hashes and hashes.unet,
            "text_hash": hashes and hashes.text,
            "space": self.space.id,
            "precision": self.runtime.precision,
            "decode_precision": precision_name(self.codec.dtype),
            "device": str(self.runtime.device),
            "backend": self.runtime.backend,
            "threads": self.runtime.threads,
            "fictile": __version__,
            "torch": torch.__version__,
        }
