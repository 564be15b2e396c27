"""Measure what matching colours does (docs/editing.md): python tools/editing/colours.py PHOTOS taef2_encoder.pth

PHOTOS is a folder of photographs. The middle of each, and four pictures that the packaged model draws, take the trip
through the packaged autoencoder and through the named one, and nothing else. What comes back is painted into a box and
compared with what was there: an edit that changes nothing would leave no error but the autoencoder's. Prints a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Bool, Float
from PIL import Image, ImageOps
from torch import Tensor

import fictile
from fictile.editing import match_colours
from fictile.editing.colours import surroundings
from fictile.fidelity import Codec, open_vaes
from fictile.picture import Mask, Picture, from_uint8
from fictile.recipe import FEATHER

SIDE, BOX = 256, 96  # pixels of a picture, and of the box in its middle
PROMPTS = ("a fox", "a car", "a red apple", "a tree")
WAYS = ("not matched", "mean", "mean and contrast")

Pixels = Float[Tensor, "3 h w"]


@dataclass(frozen=True, kw_only=True)
class Error:
    """Of a box, in steps of 255."""

    mean: float  # of the mean colour: over red, green and blue, how far it moved
    rms: float  # of its pixels


def main(
    photos: Annotated[Path, typer.Argument(help="A folder of photographs.")],
    vaes: Annotated[list[str], typer.Argument(help="Autoencoders beside the packaged one.")],
) -> None:
    """Print the table, and what it did to each picture."""
    pictures = {path.stem: photograph(path) for path in sorted(photos.glob("*.jpg"))}
    model = fictile.load()
    pictures |= {prompt: Picture(model.generate(prompt, seed=0)[0].pixels) for prompt in PROMPTS}
    print("| autoencoder |", " | ".join(WAYS), "| mean colour worse |\n|---|---|---|---|---|")
    for vae in open_vaes(["emoji", *vaes]):
        errors = {name: measured(vae.codec, picture) for name, picture in pictures.items()}
        cells = [f"{average(one)[0]:.2f} / {average(one)[1]:.2f}" for one in zip(*errors.values(), strict=True)]
        worse = [name for name, (before, *_, after) in errors.items() if after.mean > before.mean]
        print("|", " | ".join([vae.name, *cells, f"{len(worse)} of {len(errors)}"]), "|")
        for name, found in errors.items():
            print(f"  {name:12}", "  ".join(f"{one.mean:5.2f} / {one.rms:5.2f}" for one in found))


def photograph(path: Path) -> Picture:
    """The middle of a photograph."""
    with Image.open(path) as image:
        return Picture(from_uint8(np.array(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)))))


def measured(codec: Codec, picture: Picture) -> tuple[Error, ...]:
    """The error in the box in each of the `WAYS`."""
    edge = (SIDE - BOX) // 2
    mask = Mask.box((SIDE, SIDE), left=edge, top=edge, width=BOX, height=BOX)
    given, back = picture.pixels, codec.decode(codec.encode(picture)).pixels
    around = surroundings(mask.opacity(FEATHER))
    moved = (given[:, around] - back[:, around]).mean(dim=1)[:, None, None]
    ways = (back, (back + moved).clamp(-1, 1), match_colours(back, given, back, around))
    return tuple(error(way, given, mask.amount > 0) for way in ways)


def error(found: Pixels, given: Pixels, box: Bool[Tensor, "h w"]) -> Error:
    """How far what was found in the box is from what was given."""
    apart = 255 / 2 * (found - given)[:, box]
    return Error(mean=apart.mean(dim=1).abs().mean().item(), rms=apart.square().mean().sqrt().item())


def average(errors: Sequence[Error]) -> tuple[float, float]:
    """Of the mean colour, and of the pixels."""
    found = torch.tensor([(one.mean, one.rms) for one in errors]).mean(dim=0)
    return found[0].item(), found[1].item()


if __name__ == "__main__":
    typer.run(main)
