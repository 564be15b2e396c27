"""Passes 2 to 5 against what the first foretold, on photographs that the laws were not fitted on."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from fit_drift import fit

from fictile.fidelity import forecast
from fictile.fidelity.drift import LAWS

# The six photographs of ../shared at 448 pixels, five times through each autoencoder, as they were measured.
CHAINS = json.loads((Path(__file__).parent / "photographs.json").read_text(encoding="utf-8"))


def each(vae: str) -> list[tuple[np.ndarray, np.ndarray, list[float], np.ndarray]]:
    """Of every photograph: the forecast's errors in PSNR and colour, and their bands."""
    rows: list[tuple[np.ndarray, np.ndarray, list[float], np.ndarray]] = []
    for chain in (chain for chain in CHAINS if chain["vae"] == vae):
        foretold = forecast(chain["psnr"][0], tuple(chain["rgb_shift"][0]))
        assert [one.number for one in foretold] == [2, 3, 4, 5]
        decibels = np.array([one.psnr for one in foretold]) - chain["psnr"][1:]
        shift = np.abs(np.array([one.rgb for one in foretold]) - chain["rgb_shift"][1:]).max(axis=1)
        rows.append(
            (decibels, shift, [one.psnr_spread for one in foretold], np.array([o.rgb_spread for o in foretold]))
        )
    assert len(rows) == 6
    return rows


def test_the_psnr_of_the_tiny_flux2_autoencoder_is_foretold_within_a_decibel() -> None:
    assert max(np.abs(decibels).max() for decibels, *_ in each("taef2")) < 1


def test_the_psnr_of_the_packaged_one_is_foretold_within_two_decibels() -> None:
    """It is not within one: photographs are so far from what it learnt that it goes its own way with each."""
    worst = max(np.abs(decibels).max() for decibels, *_ in each("emoji"))
    assert 1 < worst < 2


@pytest.mark.parametrize("vae", ["emoji", "taef2"])
def test_the_bands_hold_what_they_promise(vae: str) -> None:
    for decibels, shift, psnr_spread, rgb_spread in each(vae):
        assert (np.abs(decibels) <= psnr_spread).all()
        assert (shift <= rgb_spread).all()


def test_the_colours_of_one_more_pass_are_foretold_to_about_one_of_255() -> None:
    """Of the tiny FLUX.2 one; later passes, and the packaged model, only within the band."""
    assert max(shift[0] for _, shift, *_ in each("taef2")) < 1.4


def test_what_came_back_exactly_will_do_so_again() -> None:
    assert all(one.psnr == math.inf and one.psnr_spread == 0 for one in forecast(math.inf, (0.0, 0.0, 0.0)))


def test_the_fit_finds_the_laws_that_made_the_numbers() -> None:
    random = np.random.default_rng(0)
    first, colour = random.uniform(15, 35, 40), random.normal(size=(40, 3))
    chains = [forecast(p, tuple(m)) for p, m in zip(first.tolist(), colour.tolist(), strict=True)]
    decibels = np.array([[p, *(one.psnr for one in chain)] for p, chain in zip(first, chains, strict=True)])
    shifts = np.array([[m, *(one.rgb for one in chain)] for m, chain in zip(colour, chains, strict=True)])
    for found, law in zip(fit(decibels, shifts), LAWS, strict=True):
        assert (found.loss, found.slope, found.growth) == (law.loss, law.slope, law.growth)
        assert (found.spread, found.colour_spread) == (0, 0)
