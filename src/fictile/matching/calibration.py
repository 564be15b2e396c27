"""The pictures that autoencoders are compared on. They are packaged; NOTICE names their authors."""

from importlib.resources import as_file, files

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.picture import load_picture


def calibration_pictures() -> Float[Tensor, "6 3 128 128"]:
    """Five photographs and a field of smooth colours, in [-1, 1]."""
    return _tiles("calibration.png", 128)


def domain_pictures(name: str) -> Float[Tensor, "b 3 h w"]:
    """Pictures of the kind that a denoiser has learnt, in [-1, 1]: of "emoji", four of its training pictures."""
    return _tiles(f"{name}.png", 256)


def _tiles(name: str, side: int) -> Tensor:
    """The squares that a sheet is made of, row by row."""
    with as_file(files("fictile") / "matching" / "pictures" / name) as path:
        sheet = load_picture(path).pixels
    rows = sheet.split(side, dim=1)
    return torch.stack([tile for row in rows for tile in row.split(side, dim=2)])
