"""Raw latents to model units and back."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fictile.autoencoder import Normalisation
from fictile.errors import RequestError

scales = st.floats(0.01, 100) | st.floats(-100, -0.01)
shifts = st.floats(-10, 10)


@given(pairs=st.lists(st.tuples(scales, shifts), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_undo_undoes_apply(pairs: list[tuple[float, float]], seed: int) -> None:
    normalisation = Normalisation(tuple(scale for scale, _ in pairs), tuple(shift for _, shift in pairs))
    raw = torch.randn(2, len(pairs), 3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(normalisation.undo(normalisation.apply(raw)), raw)


def test_of_brings_the_data_to_mean_0_and_std_1() -> None:
    raw = torch.randn(8, 2, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    raw = raw * torch.tensor([3.0, 0.2])[:, None, None] + torch.tensor([-7.0, 1.0])[:, None, None]
    mean, std = raw.mean((0, 2, 3)), raw.std((0, 2, 3))
    model = Normalisation.of(mean.tolist(), std.tolist()).apply(raw)
    torch.testing.assert_close(model.mean((0, 2, 3)), torch.zeros_like(mean))
    torch.testing.assert_close(model.std((0, 2, 3)), torch.ones_like(std))


def test_apply_logvar_follows_the_scale() -> None:
    logvar = torch.zeros(1, 2, 1, 1)
    seen = Normalisation((2.0, -3.0), (5.0, 6.0)).apply_logvar(logvar)
    torch.testing.assert_close(seen.flatten(), torch.tensor([4.0, 9.0]).log())


def test_identity_and_scalar() -> None:
    raw = torch.randn(1, 3, 2, 2)
    assert torch.equal(Normalisation.identity(3).apply(raw), raw)
    torch.testing.assert_close(Normalisation.scalar(0.5, 1.0, 3).apply(raw), (raw - 1) * 0.5)


@pytest.mark.parametrize(
    ("scale", "shift"),
    [((1.0,), (0.0, 0.0)), ((0.0,), (0.0,)), ((math.nan,), (0.0,)), ((1.0,), (math.inf,))],
)
def test_what_cannot_be_undone_is_refused(scale: tuple[float, ...], shift: tuple[float, ...]) -> None:
    with pytest.raises(RequestError, match="give"):
        Normalisation(scale, shift)


def test_a_dead_channel_is_refused() -> None:
    with pytest.raises(RequestError, match="never varies"):
        Normalisation.of([0.0, 0.0], [1.0, 0.0])
