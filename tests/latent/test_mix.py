"""What mixing promises about the numbers."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import Latent, LatentSpace, mix

SPACE = LatentSpace(id="a", channels=3, factor=8)
SHARES = pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 0.73, 1.0])
BY_WEIGHT = [mix.lerp, mix.slerp, mix.blend]


def latent(seed: int = 0, *, count: int = 1, sides: tuple[int, int] = (12, 16), space: LatentSpace = SPACE) -> Latent:
    """Unlike in every channel: other means, other variances."""
    dice = torch.Generator().manual_seed(seed)
    data = torch.randn(count, space.channels, *sides, generator=dice)
    spread, centre = (torch.randn(count, space.channels, 1, 1, generator=dice) for _ in range(2))
    return Latent(data * (0.5 + spread.abs()) + centre, space, (sides[0] * 8, sides[1] * 8), "abc")


def mean(x: Latent) -> Tensor:
    return x.data.mean((2, 3))


def variance(x: Latent) -> Tensor:
    return x.data.var((2, 3), correction=0)


@pytest.mark.parametrize("way", [*BY_WEIGHT, mix.transfer])
def test_the_ends_are_the_two_latents(way: Callable[..., Latent]) -> None:
    a, b = latent(1), latent(2)
    torch.testing.assert_close(way(a, b, 0.0).data, a.data)
    if way is not mix.transfer:
        torch.testing.assert_close(way(a, b, 1.0).data, b.data)


@pytest.mark.parametrize("way", BY_WEIGHT)
@SHARES
def test_a_latent_mixed_with_itself_is_itself(way: Callable[..., Latent], weight: float) -> None:
    torch.testing.assert_close(way(latent(1), latent(1), weight).data, latent(1).data)


@settings(max_examples=30)
@given(weight=st.floats(0, 1), seed=st.integers(0, 1000))
def test_blend_restores_the_variance_of_each_channel_within_a_hundredth(weight: float, seed: int) -> None:
    a, b = latent(seed), latent(seed + 1)
    mixed = mix.blend(a, b, weight)
    expected = (1 - weight) * variance(a) + weight * variance(b)
    assert (variance(mixed) / expected - 1).abs().max() < 0.01
    torch.testing.assert_close(mean(mixed), mean(mix.lerp(a, b, weight)), atol=1e-5, rtol=1e-5)


def test_the_plain_average_loses_half_of_the_variance_which_is_why() -> None:
    a, b = latent(1, sides=(64, 64)), latent(2, sides=(64, 64))
    kept = variance(mix.lerp(a, b)) / ((variance(a) + variance(b)) / 2)
    torch.testing.assert_close(kept, torch.full_like(kept, 0.5), atol=0.05, rtol=0)


def test_blend_leaves_alone_what_cancels_out() -> None:
    a = latent(1)
    opposite = a.with_data(-a.data)
    assert torch.equal(mix.blend(a, opposite).data, torch.zeros_like(a.data))
    flat = a.with_data(torch.full_like(a.data, 2.0))
    assert torch.equal(mix.blend(flat, flat).data, flat.data)


@SHARES
def test_slerp_keeps_to_the_sphere_and_goes_evenly(weight: float) -> None:
    """Shoemake 1985: the angle to a is the weight's share of the whole angle."""
    a, b = latent(1), latent(2)
    b = b * float(a.data.norm() / b.data.norm())
    mixed = mix.slerp(a, b, weight).data
    assert mixed.norm().item() == pytest.approx(a.data.norm().item(), rel=1e-5)

    def angle(x: Tensor, y: Tensor) -> float:
        return math.acos(min(1.0, float((x.double() * y.double()).sum() / (x.double().norm() * y.double().norm()))))

    assert angle(mixed, a.data) == pytest.approx(weight * angle(a.data, b.data), abs=1e-3)


def test_slerp_refuses_opposites() -> None:
    with pytest.raises(RequestError, match="opposites"):
        mix.slerp(latent(1), latent(1) * -2.0)


def test_transfer_takes_the_statistics_and_keeps_the_shape() -> None:
    a, b = latent(1), latent(2, sides=(5, 7))
    mixed = mix.transfer(a, b)
    torch.testing.assert_close(mean(mixed), mean(b), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(variance(mixed), variance(b), atol=1e-5, rtol=1e-5)
    alike = torch.corrcoef(torch.stack([mixed.data[0, 0].flatten(), a.data[0, 0].flatten()]))[0, 1]
    assert alike.item() == pytest.approx(1, abs=1e-5)
    assert mixed.size == a.size


def test_transfer_to_a_flat_channel_moves_it_only() -> None:
    flat = latent(1).with_data(torch.full((1, 3, 12, 16), 2.0))
    torch.testing.assert_close(
        mix.transfer(flat, latent(2)).data, mean(latent(2))[:, :, None, None].expand(1, 3, 12, 16)
    )


@pytest.mark.parametrize("radius", [1.0, 16.0, 500.0])
def test_coarse_and_fine_of_one_latent_are_the_whole(radius: float) -> None:
    torch.testing.assert_close(mix.exchange(latent(1), latent(1), radius).data, latent(1).data, atol=1e-5, rtol=1e-5)


def test_exchange_takes_the_coarse_of_one_and_the_fine_of_the_other() -> None:
    """Waves of 16 cells and of 2, and a Gaussian between them."""
    places = torch.arange(64)
    slow, fast = (torch.cos(2 * math.pi * places / length).expand(1, 3, 64, 64) for length in (32, 2))
    mixed = mix.exchange(Latent(slow + 5, SPACE), Latent(fast - 5, SPACE), radius=16.0).data
    inside = (..., slice(16, 48))
    torch.testing.assert_close(
        mixed[inside], (5 + slow * math.exp(-((2 * math.pi * 2 / 32) ** 2) / 2) + fast)[inside], atol=0.01, rtol=0
    )


def test_composite_is_exact_away_from_the_edge_and_soft_at_it() -> None:
    a, b = latent(1, count=2), latent(2)
    mask = torch.zeros(12 * 8, 16 * 8)
    mask[:, 64:] = 1
    hard = mix.composite(a, b, mask)
    assert torch.equal(hard.data[..., :8], a.data[..., :8])
    assert torch.equal(hard.data[..., 8:], b.data[..., 8:].expand(2, 3, 12, 8))
    soft = mix.composite(a, b, mask, feather=32.0)
    assert torch.equal(soft.data[..., :6], a.data[..., :6])
    assert torch.equal(soft.data[..., 10:], b.data[..., 10:].expand(2, 3, 12, 6))
    assert not torch.equal(soft.data[..., 6:10], hard.data[..., 6:10])


def test_a_feathered_edge_keeps_its_variance() -> None:
    """Where an average would have half of it, over many seeds."""
    a, b = (Latent(torch.randn(400, 3, 12, 16), SPACE) for _ in range(2))
    half = torch.full((12, 16), 0.5)
    assert mix.composite(a, b, half).data.var().item() == pytest.approx(1, abs=0.02)
    assert mix.lerp(a, b, 0.5).data.var().item() == pytest.approx(0.5, abs=0.02)


@SHARES
def test_a_mask_of_one_value_is_a_weight(weight: float) -> None:
    a, b = latent(1), latent(2)
    cells, pixels = torch.full((12, 16), weight), torch.full((96, 128), weight)
    for one in (mix.composite(a, b, cells), mix.composite(a, b, pixels, feather=40.0)):
        torch.testing.assert_close(one.data, mix.blend(a, b, weight).data, atol=1e-4, rtol=1e-4)


def test_a_mask_is_of_the_true_size_of_the_picture() -> None:
    a, b = (Latent(latent(seed).data, SPACE, (90, 121)) for seed in (1, 2))
    mixed = mix.composite(a, b, torch.ones(90, 121))
    assert torch.equal(mixed.data, b.data)
    with pytest.raises(RequestError, match="mask is 128x96 and the pictures are 121x90"):
        mix.composite(a, b, torch.ones(96, 128))
    with pytest.raises(RequestError, match="outside 0 to 1"):
        mix.composite(a, b, torch.full((90, 121), 255.0))


def test_place_lays_one_onto_the_other() -> None:
    a, b = latent(1), latent(2, sides=(4, 6))
    placed = mix.place(a, b, (16, 80)).data
    assert torch.equal(placed[..., 2:6, 10:16], b.data)
    outside = torch.ones(12, 16, dtype=torch.bool)
    outside[2:6, 10:16] = False
    assert torch.equal(placed[..., outside], a.data[..., outside])


def test_a_feather_grows_inwards_and_not_from_the_picture_s_own_edge() -> None:
    a, b = latent(1), latent(2, sides=(6, 6))
    placed = mix.place(a, b, (0, 80), feather=16.0).data  # in the upper right corner
    assert torch.equal(placed[..., :4, 12:], b.data[..., :4, 2:])
    assert not torch.isclose(placed[..., :6, 10:12], b.data[..., :2]).all(1).any()
    assert torch.equal(placed[..., 6:, :], a.data[..., 6:, :])
    assert torch.equal(placed[..., :10], a.data[..., :10])


def test_many_mix_with_one_as_each_alone() -> None:
    many, one, mask = latent(1, count=3), latent(2), torch.rand(12, 16)
    ways: list[Callable[[Latent, Latent], Latent]] = [
        *BY_WEIGHT,
        mix.transfer,
        mix.exchange,
        lambda a, b: mix.composite(a, b, mask),
        lambda a, b: mix.place(a, b, (0, 0), feather=16.0),
    ]
    for way in ways:
        alone = torch.cat([way(each, one).data for each in many])
        torch.testing.assert_close(way(many, one).data, alone)


def test_half_precision_stays_half_precision() -> None:
    a, b = (latent(seed).to(dtype=torch.float16) for seed in (1, 2))
    mixed = mix.blend(a, b)
    assert mixed.data.dtype == torch.float16
    assert (variance(mixed.to(dtype=torch.float32)) / ((variance(a) + variance(b)) / 2) - 1).abs().max() < 0.01


@pytest.mark.parametrize("how", mix.WAYS)
def test_no_way_leads_across_spaces_or_sizes(how: str) -> None:
    def mixed(other: Latent) -> Latent:
        mask, at = (torch.ones(12, 16) if how == "composite" else None), ((0, 0) if how == "place" else None)
        return mix.by_name(latent(1), other, how, mask=mask, at=at)

    mixed(latent(2))
    other = LatentSpace(id="b", channels=3, factor=8)
    with pytest.raises(SpaceMismatch, match="lives in"):
        mixed(latent(2, space=other))
    if how != "transfer":
        with pytest.raises(RequestError, match=r"128x96.*160x96|160x96.*128x96"):
            mixed(latent(2, sides=(12, 20)))


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: mix.blend(latent(1), latent(2), 1.5), "weight is 1.5"),
        (lambda: mix.lerp(latent(1), latent(2), math.nan), "weight is nan"),
        (lambda: mix.exchange(latent(1), latent(2), 0.0), "radius is 0"),
        (lambda: mix.composite(latent(1), latent(2), torch.ones(12, 16), feather=-1.0), "feather is -1"),
        (
            lambda: mix.place(latent(1), latent(2, sides=(4, 4)), (4, 9)),
            "place is 9,4 .*choose 8,0",
        ),
        (lambda: mix.place(latent(1), latent(2, sides=(4, 4)), (72, 0)), "does not lie within one of 128x96"),
        (lambda: mix.place(latent(1), latent(2, sides=(4, 4)), (-8, 0)), "does not lie within"),
        (lambda: mix.transfer(latent(1, count=2), latent(2, count=3)), "3 latents met 2"),
        (lambda: mix.by_name(latent(1), latent(2), "stir"), "called 'stir'.*blend, lerp"),
        (lambda: mix.by_name(latent(1), latent(2), "place"), "place needs to know the at"),
        (lambda: mix.by_name(latent(1), latent(2), "slerp", feather=3.0), "slerp takes no feather, only weight"),
    ],
)
def test_what_cannot_be_is_refused(attempt: Callable[[], Latent], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        attempt()
