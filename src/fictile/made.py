"""What a model makes: a picture, the latent it was decoded from, and its recipe."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.picture import Picture, Source, save_picture
from fictile.recipe import Recipe

PictureFile = str | Path


@dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """A picture, the latent it was decoded from, and how it was made."""

    pixels: Float[Tensor, "3 h w"]  # float32 in [-1, 1], on the CPU
    latent: Latent  # a batch of one, on the CPU
    recipe: Recipe

    def save(self, path: PictureFile) -> None:
        """Write the picture; its file carries the recipe. Raises RequestError when the place cannot be written to."""
        save_picture(self.pixels, path, self.recipe.text_chunks())


@dataclass(frozen=True, kw_only=True)
class EditedPicture:
    """An edited file, the latent that its edit was decoded from, and how it was made."""

    source: Source  # samples and all, as they will be written
    latent: Latent | None  # a batch of one, on the CPU; None where there was nothing to do
    recipe: Recipe

    @property
    def pixels(self) -> Float[Tensor, "3 h w"]:
        """What the picture looks like: float32 in [-1, 1]."""
        return self.source.picture().pixels

    def losses(self, path: PictureFile) -> tuple[str, ...]:
        """What a file at `path` cannot keep of the samples, a sentence each; empty in formats without loss."""
        return self.source.losses(path)

    def save(self, path: PictureFile, *, strip: bool = False) -> None:
        """Write the picture with its recipe, or with `strip` without everything that tells who made it and how.

        Raises RequestError when the place cannot be written to.
        """
        self.source.save(path, None if strip else self.recipe.text_chunks(), strip=strip)


def check_init(needed: str | None, given: Picture | None) -> None:
    """Raises RequestError unless `given` is the picture whose hash a recipe needs, or both are None."""
    if needed == (given and pixel_hash(given)):
        return
    if given is None:
        problem = "a picture, and none was given; give that picture"
    elif needed is None:
        problem = "noise alone, and a picture was given; leave it out"
    else:
        problem = "another picture than the one given; give that one"
    raise RequestError(f"The recipe started from {problem}.")


def pixel_hash(picture: Picture) -> str:
    """SHA-256 of the pixels of a picture."""
    return hashlib.sha256(picture.pixels.cpu().contiguous().numpy().tobytes()).hexdigest()
