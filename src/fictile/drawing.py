"""A recipe becomes pictures: what it starts from is encoded, sampled, decoded, and painted over what was edited."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.codec import AutoencoderCodec
from fictile.diffusion import Diffusion, Start
from fictile.editing import EditTask
from fictile.engine import PRECISIONS
from fictile.latent import Latent
from fictile.made import EditedPicture, GeneratedPicture, OnSampled, init_size
from fictile.picture import Mask, Picture, Source
from fictile.recipe import Recipe
from fictile.sampling import Callback

NOTHING_MASKED = "the mask is empty, so the picture was copied"


class Drawing:
    """An autoencoder and what samples its latents; `native` is the height and width that they were made for.

    Recipes are those of the first picture of a run; `indices`, in a row, say which of its pictures are wanted.
    """

    def __init__(self, codec: AutoencoderCodec, diffusion: Diffusion, native: tuple[int, int]) -> None:
        self.codec = codec
        self.diffusion = diffusion
        self.native = native

    def generated(
        self,
        recipe: Recipe,
        init: Picture | Latent | None,
        indices: Sequence[int],
        callback: Callback | None = None,
        sampled: OnSampled | None = None,
    ) -> list[GeneratedPicture]:
        """Pictures that start from noise, or from `init`.

        Raises RequestError before anything is computed for what is wrong with the recipe, FictileError when the result
        is not finite.
        """
        start = self._start(recipe, init)
        latent = self._sampled(recipe, start, self.beside(recipe, init, None, start), callback)
        return self.decoded(latent[indices[0] : indices[-1] + 1], recipe.later(indices[0]), sampled)

    def edited(
        self,
        recipe: Recipe,
        source: Source,
        indices: Sequence[int],
        callback: Callback | None = None,
        sampled: OnSampled | None = None,
    ) -> list[EditedPicture]:
        """Edits of a file. Raises as `generated` does, and for a file that is not the one that the recipe edits."""
        task, recipe = self._task(recipe, source)
        if task.is_empty:
            self.diffusion.check(recipe, recipe.size)
            recipe = replace(recipe, notes=(NOTHING_MASKED,))
            return [EditedPicture(source=source, latent=None, recipe=recipe.later(index)) for index in indices]
        seen, mask = task.seen, task.seen_mask
        start = self._start(recipe, seen, mask)
        latent = self._sampled(recipe, start, self.beside(recipe, seen, mask, start), callback)
        latent = latent[indices[0] : indices[-1] + 1]
        return self._painted(task, start, self.decoded(latent, recipe.later(indices[0]), sampled))

    def finished(self, latent: Latent, recipe: Recipe, source: Source) -> list[EditedPicture]:
        """The edits of a file whose latents have been sampled before."""
        task, _ = self._task(recipe, source)
        start = self._start(recipe, task.seen, task.seen_mask)
        return self._painted(task, start, self.decoded(latent, recipe))

    def decoded(self, latent: Latent, recipe: Recipe, sampled: OnSampled | None = None) -> list[GeneratedPicture]:
        """The latents decoded one by one; the recipe is that of the first. `sampled` is called before."""
        if sampled:
            sampled(latent, recipe)
        return [self._decoded(one, recipe.later(index)) for index, one in enumerate(latent)]

    def beside(
        self, recipe: Recipe, picture: Picture | Latent | None, mask: Mask | None, start: Start | None
    ) -> Float[Tensor, "1 k h w"] | None:
        """What the denoiser sees beside the noisy latent (see `Denoiser.sight`)."""
        sight = self.diffusion.denoiser.sight
        if sight == "noise":
            return None
        if sight == "picture":
            assert start is not None, "words alone have been refused"
            return self.codec.autoencoder.normalisation.undo(start.latent)
        mask = mask or Mask.everything(recipe.size)
        kept = picture.pixels * (mask.amount == 0) if isinstance(picture, Picture) else torch.zeros(3, *recipe.size)
        hidden = (self._cells(mask) > 0).float()
        return torch.cat([hidden, self._encoded(Picture(kept), recipe).data], dim=1)

    def _task(self, recipe: Recipe, source: Source) -> tuple[EditTask, Recipe]:
        """The edit, and its recipe with the size that the model sees and the proof."""
        assert recipe.edit is not None, "this is the recipe of an edit"
        task = EditTask(recipe.edit, source, native=self.native, multiple=self.diffusion.multiple)
        return task, replace(recipe, size=(task.seen.height, task.seen.width), edit=task.proven())

    def _start(self, recipe: Recipe, init: Picture | Latent | None, mask: Mask | None = None) -> Start | None:
        """What sampling starts from, once the recipe has been checked: nothing but noise if nothing is given."""
        self.diffusion.check(recipe, None if init is None else init_size(init))
        precision = PRECISIONS[recipe.decode_precision]
        self.codec.check_memory(recipe.tiling, recipe.size, precision, encode=False)
        if init is None:
            return None
        if isinstance(init, Latent):
            latent = self.diffusion.fitted(init, asis=recipe.strength == 0)
        else:
            latent = self._encoded(init, recipe)
        return Start(latent=latent.data, mask=mask and self._cells(mask))

    def _sampled(
        self,
        recipe: Recipe,
        start: Start | None,
        beside: Float[Tensor, "1 k h w"] | None,
        callback: Callback | None,
    ) -> Latent:
        """The latents of all pictures of the run, on whose company the last bits of each depend."""
        x0 = self.diffusion.sample(recipe, start, beside, callback)
        self.diffusion.finish()
        return Latent(x0, self.codec.space, recipe.size, self.codec.content_hash)

    def _encoded(self, picture: Picture, recipe: Recipe) -> Latent:
        multiple, dtype = self.diffusion.multiple, PRECISIONS[recipe.decode_precision]
        latent, notes = self.codec.encoded(picture, multiple, dtype, recipe.tiling)
        self.codec.tell(notes)
        return latent

    def _decoded(self, latent: Latent, recipe: Recipe) -> GeneratedPicture:
        pixels, notes = self.codec.decoded(latent, PRECISIONS[recipe.decode_precision], recipe.tiling)
        return GeneratedPicture(pixels=pixels, latent=latent, recipe=replace(recipe, notes=notes))

    def _painted(self, task: EditTask, start: Start | None, made: Sequence[GeneratedPicture]) -> list[EditedPicture]:
        """What was made, over the samples of the file."""
        assert start is not None, "an edit starts from a picture"
        back = None
        if task.wants_round_trip:
            recipe = made[0].recipe
            trip = Latent(start.latent, self.codec.space, recipe.size)
            back, _ = self.codec.decoded(trip, PRECISIONS[recipe.decode_precision], recipe.tiling)
        return [
            EditedPicture(source=task.finished(one.pixels, back), latent=one.latent, recipe=one.recipe) for one in made
        ]

    def _cells(self, mask: Mask) -> Float[Tensor, "1 1 h w"]:
        """The mask on the grid of the latent."""
        return mask.cells(self.diffusion.multiple, self.codec.space.factor)
