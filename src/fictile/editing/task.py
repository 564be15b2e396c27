"""One edit, from the file to what a model sees of it and back into the file."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.editing.canvas import Edges, mirrored_picture, widened, widened_mask
from fictile.editing.colours import match_colours, surroundings
from fictile.editing.window import Window
from fictile.errors import RequestError
from fictile.picture import Mask, Picture, Source
from fictile.recipe import KEY, Edit, Recipe


class EditTask:
    """What an edit does to a source: which picture and mask a model sees, and what becomes of what it makes.

    `native` is the height and width that the model was made for; `multiple` what it can divide.
    Raises RequestError when the source is not the edit's input, or the edit does not fit it.
    """

    def __init__(self, edit: Edit, source: Source, *, native: tuple[int, int], multiple: int) -> None:
        if edit.input != input_hash(source):
            raise RequestError(f"The recipe edited another picture than {source.name}; give the one it started from.")
        edges = Edges(*edit.outpaint)
        edges.check()
        if edit.padding < 0:
            raise RequestError(f"The padding is {edit.padding} pixels; give 0 or more.")
        source.check_paintable()
        size = (source.height, source.width)
        self.edit = edit
        self.canvas = widened(source, edges)
        self.mask = widened_mask(Mask.from_text(edit.mask) if edit.mask is not None else None, size, edges)
        self.whole = mirrored_picture(source, edges)
        if edit.only_masked and self.mask is None:
            raise RequestError("Only the masked part is to be seen, but there is no mask; give one.")
        self.window = (
            Window.around(self.opacity, padding=edit.padding, native=native, multiple=multiple)
            if edit.only_masked and not self.is_empty
            else None
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.mask is not None and self.mask.is_empty

    @cached_property
    def opacity(self) -> Float[Tensor, "h w"]:
        """How opaque the edit is painted over the canvas."""
        if self.mask is None:
            return torch.ones(self.canvas.height, self.canvas.width)
        return self.mask.opacity(self.edit.feather)

    @property
    def seen(self) -> Picture:
        """The picture as the model sees it."""
        return self.window.seen(self.whole) if self.window else self.whole

    @property
    def seen_mask(self) -> Mask | None:
        """The mask of `seen`."""
        return self.window.mask(self.mask) if self.window and self.mask else self.mask

    @property
    def wants_round_trip(self) -> bool:
        """Whether `finished` needs to know how `seen` comes back from the latent space."""
        return self.edit.match_colours and bool((self.opacity == 0).any())

    def finished(self, pixels: Float[Tensor, "3 a b"], round_trip: Float[Tensor, "3 a b"] | None = None) -> Source:
        """What the model made of `seen`, painted over the canvas."""
        whole = self._put_back(pixels)
        if round_trip is not None:
            around = surroundings(self.opacity)
            if self.window:
                around &= self.window.inside(self.opacity)
            whole = match_colours(whole, self.whole.pixels, self._put_back(round_trip), around)
        return self.canvas.paste(whole, self.opacity, cover=self.edit.cover)

    def _put_back(self, pixels: Float[Tensor, "3 a b"]) -> Float[Tensor, "3 h w"]:
        return self.window.put_back(pixels, self.whole) if self.window else pixels

    def proven(self) -> Edit:
        """The edit, with the hash of what it leaves alone."""
        return replace(self.edit, untouched=self.canvas.untouched_hash(self.opacity))


def input_hash(source: Source) -> str:
    """SHA-256 over all samples of a file."""
    return source.untouched_hash(torch.zeros(source.height, source.width))


def past(text: Mapping[str, str]) -> tuple[Recipe, ...]:
    """What a file's texts tell of how it was made, the oldest first; nothing where there is no recipe to read."""
    if KEY not in text:
        return ()
    try:
        last = Recipe.from_json(text[KEY])
    except RequestError:  # of another version, or changed by hand: the new edit stands for itself
        return ()
    return (*last.history, replace(last, history=()))
