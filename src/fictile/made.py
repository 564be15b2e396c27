"""What a model makes: a picture, the latent it was decoded from, and its recipe."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder import COMFY_SUFFIX, read_comfy_latent, write_latent
from fictile.checkpoint import Hashes
from fictile.errors import RequestError
from fictile.latent import SUFFIX, Latent, read_notes
from fictile.picture import Picture, Source, load_picture, open_source, save_picture
from fictile.recipe import IN_LATENT, MIXED, Mix, Recipe

PictureFile = str | Path


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Two latents that became one, and how."""

    latent: Latent
    mix: Mix

    def save(self, path: PictureFile, *, strip: bool = False) -> None:
        """Write the latent, with what it is a mix of unless `strip` leaves that out; one for ComfyUI never says it.

        Raises RequestError when the place cannot be written to.
        """
        write_latent(self.latent, path, None if strip else {MIXED: self.mix.to_json()})


Init = PictureFile | Picture | Latent | Mixed
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
        """Write the picture with its recipe, or with `strip` its pixels alone.

        Raises RequestError when the place cannot be written to.
        """
        save_picture(self.pixels, path, None if strip else self.recipe.text_chunks())

    def save_latent(self, path: PictureFile, *, strip: bool = False) -> None:
        """Write the latent, with its recipe unless `strip` leaves it out: `Model.finish` makes the picture of it.

        Raises RequestError when the place cannot be written to.
        """
        _save_latent(self.latent, self.recipe, path, strip)


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

    def save_latent(self, path: PictureFile, *, strip: bool = False) -> None:
        """Write the latent as that of a generated picture is; nothing where there was nothing to do."""
        if self.latent is not None:
            _save_latent(self.latent, self.recipe, path, strip)


def open_init(init: Init | Source, space: str | None = None) -> Picture | Latent | Mixed:
    """What `generate` starts from: a file whose name ends in .latent.safetensors or ComfyUI's .latent is a latent, any
    other a picture. `space` is that of ComfyUI's, which does not always say it.

    Raises RequestError for what is neither.
    """
    if isinstance(init, Source):
        return init.picture()
    if isinstance(init, Picture | Latent | Mixed):
        return init
    if str(init).endswith(COMFY_SUFFIX):
        return read_comfy_latent(init, space)
    if not str(init).endswith(SUFFIX):
        return load_picture(init)
    latent, notes = Latent.load(init), read_notes(init)
    if MIXED not in notes:
        return latent
    return Mixed(latent=latent, mix=Mix.from_json(notes[MIXED], f"what {init} says of its mix"))


def opened_apart(init: Init | Source | None) -> tuple[Picture | Latent | None, Mix | None]:
    """What `generate` starts from, and what that is a mix of. Raises RequestError as `open_init` does."""
    opened = None if init is None else open_init(init)
    return (opened.latent, opened.mix) if isinstance(opened, Mixed) else (opened, None)


def init_size(init: Picture | Latent | Mixed) -> tuple[int, int]:
    """Height and width in pixels."""
    given = init.latent if isinstance(init, Mixed) else init
    return given.picture_size if isinstance(given, Latent) else (given.height, given.width)


def init_hash(init: Picture | Latent) -> str:
    """SHA-256 of the pixels of a picture, or of the values of a latent."""
    values = init.data.float() if isinstance(init, Latent) else init.pixels
    return hashlib.sha256(values.cpu().contiguous().numpy().tobytes()).hexdigest()


def check_init(recipe: Recipe, given: Picture | Latent | None) -> None:
    """Raises RequestError unless `given` is the picture or latent that a recipe needs, or None where it needs none."""
    needed = recipe.init
    if needed == (None if given is None else init_hash(given)):
        return
    if recipe.mix:
        problem = f"{recipe.mix}; give both, in this order, or the latent of the mix"
    elif given is None:
        problem = "a picture, and none was given; give that picture"
    elif needed is None:
        problem = "noise alone, and a picture was given; leave it out"
    else:
        problem = "another picture than the one given; give that one"
    raise RequestError(f"The recipe started from {problem}.")


def check_model(recipe: Recipe, name: str, hashes: Hashes | None, vae_origin: str) -> None:
    """Raises RequestError unless a recipe is of a model with these hashes, and of a picture that it can have made."""
    here = hashes.model if hashes else None
    if recipe.model_hash is None or recipe.model_hash != here:
        raise RequestError(
            f"The recipe needs the model {recipe.model} with hash {(recipe.model_hash or 'none')[:10]}, but "
            f"{name} with hash {(here or 'none')[:10]} is loaded; load that model."
        )
    if hashes and recipe.vae_hash != hashes.vae:
        raise RequestError(
            f"The recipe needs the autoencoder with hash {(recipe.vae_hash or 'none')[:10]} ({recipe.vae_origin}), "
            f"but here is that with hash {hashes.vae[:10]} ({vae_origin}); name it with --vae or vae=."
        )
    if not 0 <= recipe.index < recipe.count:
        raise RequestError(f"The recipe is of picture {recipe.index} of {recipe.count}; it was changed by hand.")


def opened_picture(picture: PictureFile | Picture | Source) -> Picture:
    """A picture, whatever it was given as. Raises RequestError for what is none."""
    if isinstance(picture, Source):
        return picture.picture()
    return picture if isinstance(picture, Picture) else load_picture(picture)


def edited_file(init: Init | Source | None) -> Source:
    """Raises RequestError unless it is a file, which alone an edit can be painted on."""
    if init is None or isinstance(init, Picture | Latent | Mixed):
        raise RequestError("The recipe is of an edited picture; give the file of the picture that was edited.")
    return init if isinstance(init, Source) else open_source(init)


def _save_latent(latent: Latent, recipe: Recipe, path: PictureFile, strip: bool) -> None:
    latent.save(path, None if strip else {IN_LATENT: recipe.to_json()})
