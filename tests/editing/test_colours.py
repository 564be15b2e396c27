"""The colours of an edit: what the autoencoder did to them is taken back, and nothing else."""

import torch

from fictile.editing.colours import GAIN, match_colours, surroundings

GIVEN = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
OPACITY = torch.zeros(64, 64)
OPACITY[20:40, 20:40] = 1


def trip(pixels: torch.Tensor) -> torch.Tensor:
    """An autoencoder that takes colours a step away, and contrast a tenth."""
    return 0.9 * pixels + torch.tensor([0.05, -0.02, 0.1])[:, None, None]


def test_a_drift_of_colours_and_contrast_is_taken_back() -> None:
    edit = GIVEN.flip(1)
    matched = match_colours(trip(edit), GIVEN, trip(GIVEN), surroundings(OPACITY))
    torch.testing.assert_close(matched, edit, rtol=0, atol=1e-5)


def test_an_autoencoder_that_loses_nothing_changes_nothing() -> None:
    edit = GIVEN * 0 + 0.9
    torch.testing.assert_close(match_colours(edit, GIVEN, GIVEN, surroundings(OPACITY)), edit, rtol=0, atol=1e-6)


def test_contrast_is_corrected_within_reason_and_never_from_nothing() -> None:
    around = surroundings(OPACITY)
    strong = match_colours(0.1 * GIVEN, GIVEN, 0.1 * GIVEN, around)
    centre = GIVEN[:, around].mean(1)[:, None, None]
    torch.testing.assert_close(strong, centre + GAIN * 0.1 * (GIVEN - centre), rtol=0, atol=1e-5)
    flat = torch.full_like(GIVEN, 0.5)
    torch.testing.assert_close(match_colours(flat, flat, flat, around), flat)
    assert match_colours(GIVEN, flat, flat, surroundings(torch.ones(64, 64))) is GIVEN


def test_only_what_is_near_counts() -> None:
    opacity = torch.zeros(1, 200)
    opacity[0, 0] = 1
    assert surroundings(opacity)[0].nonzero().flatten().tolist() == list(range(1, 49))
