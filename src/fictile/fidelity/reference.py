"""What a picture takes on this machine, and how far it is from the one that the reference mode makes of its recipe."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from fictile.denoiser import EXACT
from fictile.engine import REFERENCE, Runtime, choose_runtime
from fictile.fidelity.metrics import psnr
from fictile.loading import load
from fictile.model import Model
from fictile.picture import Picture, load_picture
from fictile.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Distance:
    """A picture beside the reference's."""

    recipe: Recipe
    largest: float  # difference between two samples, in steps of 1/255
    psnr: float  # decibels; infinite where they are equal


def seconds_for_a_picture(model: Model) -> float:
    """How long one picture takes with the model's own defaults, once everything is warm."""
    model.generate("a fox", seed=0, steps=1)
    began = time.perf_counter()
    model.generate("a fox", seed=0)
    return time.perf_counter() - began


def reference_runtime() -> Runtime:
    """The mode that others are measured against: the reference back end on the CPU, on one thread."""
    return replace(choose_runtime("cpu", backend=REFERENCE), threads=1)


def distance_to_reference(
    path: str | Path,
    *,
    model: str | Path | None = None,
    vae: str | Path | None = None,
    init: str | Path | Picture | None = None,
) -> Distance:
    """Make the picture again in the reference mode, alone and with nothing left out, and compare.

    `model`, `vae` and `init` are those it was made with.

    Raises RequestError when the file carries no recipe, or the recipe needs another model or another init picture.
    """
    recipe = Recipe.read(path)
    alone = replace(recipe, index=0, count=1, speed=EXACT)
    maker = load(model, vae=vae, force=recipe.vae_forced, runtime=reference_runtime())
    reference = maker.replay(alone, init=init)
    made, wanted = load_picture(path).pixels, ((reference.pixels.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    return Distance(recipe=recipe, largest=(made - wanted).abs().max().item() * 127.5, psnr=psnr(made, wanted))
