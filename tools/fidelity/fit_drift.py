"""Fit the laws of drift (src/fictile/fidelity/drift.py) on the still pictures that scikit-image carries.

    python tools/fidelity/fit_drift.py emoji taef2_encoder.pth

sends each of them five times through each autoencoder, and prints the laws. Of pass n, with p the PSNR and m the mean
colour shift of pass 1: the PSNR is p - loss - slope * (p - REFERENCE) and the shift is growth * m, by least squares;
the bands are what nine of ten fitted pictures lie in.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from skimage import data

from fictile.fidelity import open_vaes, psnr
from fictile.fidelity.drift import REFERENCE, Law
from fictile.fidelity.report import one_pass
from fictile.picture import Picture, from_uint8

PICTURES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png"),
    *("color.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "retina.jpg", "rocket.jpg", "text.png"),
)
SIDE = 384  # pixels that they are scaled down to
PASSES = 5
INSIDE = 90  # percent of the fitted pictures lie in the band


def fit(decibels: Float[np.ndarray, "n passes"], shifts: Float[np.ndarray, "n passes 3"]) -> list[Law]:
    """The laws of passes 2, 3 ... from PSNR and mean colour shift (8-bit steps) after each pass of n pictures."""
    first, error = decibels[:, 0], 255 * 10 ** (-decibels[:, 0] / 20)
    terms = np.stack([np.ones_like(first), first - REFERENCE], axis=1)
    laws: list[Law] = []
    for later in range(1, decibels.shape[1]):
        lost = first - decibels[:, later]
        loss, slope = np.linalg.lstsq(terms, lost, rcond=None)[0]
        # Each shift counts in units of its picture's error, so that a bad autoencoder does not outshout a good one.
        old, new = (shifts[:, which] / error[:, None] for which in (0, later))
        growth = (old * new).sum() / (old * old).sum()
        laws.append(
            Law(
                loss=round(float(loss), 2),
                slope=round(float(slope), 3),
                spread=round(float(np.percentile(np.abs(lost - terms @ [loss, slope]), INSIDE)), 1),
                growth=round(float(growth), 2),
                colour_spread=round(float(np.percentile(np.abs(new - growth * old).max(axis=1), INSIDE)), 2),
            )
        )
    return laws


def measured(names: Sequence[str]) -> tuple[Float[np.ndarray, "n passes"], Float[np.ndarray, "n passes 3"]]:
    """PSNR and mean colour shift of every picture through every autoencoder, after each pass."""
    decibels: list[list[float]] = []
    shifts: list[list[list[float]]] = []
    for vae in open_vaes(names):
        for name in PICTURES:
            with Image.open(Path(data.__file__).parent / name) as file:
                image = file.convert("RGB")
            image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            original = after = Picture(from_uint8(np.array(image)))
            chain: list[Picture] = []
            for _ in range(PASSES):
                _, after = one_pass(after, vae.codec)
                chain.append(after)
            decibels.append([psnr(original.pixels, one.pixels) for one in chain])
            shifts.append([(127.5 * (one.pixels - original.pixels)).mean(dim=(1, 2)).tolist() for one in chain])
            print(f"{vae.name}, {name}: {', '.join(f'{value:.1f}' for value in decibels[-1])} dB", file=sys.stderr)
    return np.array(decibels), np.array(shifts)


def main() -> None:
    """Print the laws as Python."""
    torch.set_grad_enabled(False)
    for law in fit(*measured(sys.argv[1:])):
        print(f"    {law},")


if __name__ == "__main__":
    main()
