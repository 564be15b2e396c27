"""Parts of a latent that are kept: they ride along at their level, and join when it is their turn."""

import pytest
import torch
from torch import Tensor

from fictile.sampling import SAMPLERS, StepNoise, keep, last_steps, make_steps, started
from fictile.schedule import CLEAN, DDPM, Flow, Level, Schedule

GIVEN = torch.linspace(-1, 1, 2 * 4 * 4).reshape(1, 2, 4, 4)
SCHEDULES = {"ddpm": DDPM(), "flow": Flow()}


def shrinking(x: Tensor, level: Level) -> Tensor:
    """A denoiser that says something else at every level and place."""
    return 0.5 * x / (level.alpha + level.sigma) + 0.1 * level.sigma


def walked(sampler: str, schedule: Schedule, amount: Tensor, count: int = 6) -> tuple[Tensor, list[Tensor]]:
    noise = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    levels = make_steps(schedule, "simple", count, float(amount.max()))
    seen: list[Tensor] = []

    def watched(x: Tensor, level: Level) -> Tensor:
        seen.append((x - level.alpha * GIVEN) / level.sigma)
        return shrinking(x, level)

    x0 = SAMPLERS[sampler](
        keep(watched, GIVEN, last_steps(amount, count), levels),
        started(noise, levels[0], GIVEN, amount),
        levels,
        noise=StepNoise((2, 4, 4), [3]),
    )
    return x0, seen


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_kept_comes_out_as_it_was_and_rides_under_noise_of_its_level(sampler: str, schedule: str) -> None:
    amount = torch.zeros(1, 1, 4, 4)
    amount[..., :2] = 1
    x0, seen = walked(sampler, SCHEDULES[schedule], amount)
    torch.testing.assert_close(x0[..., 2:], GIVEN[..., 2:], rtol=0, atol=1e-5)
    assert not torch.allclose(x0[..., :2], GIVEN[..., :2], atol=0.01)
    for noise in seen:  # 16 numbers: a standard deviation between 0.4 and 1.9, but for one draw in a million
        assert 0.4 < float(noise[..., 2:].std()) < 1.9


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc"])
def test_without_fresh_noise_it_rides_under_the_noise_it_began_with(sampler: str) -> None:
    amount = torch.zeros(1, 1, 4, 4)
    amount[..., 0] = 1
    seen = walked(sampler, DDPM(), amount)[1]
    for noise in seen[1:]:
        torch.testing.assert_close(noise[..., 1:], seen[0][..., 1:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("strength", [0.2, 0.5, 0.8])
def test_a_constant_soft_mask_is_that_strength(sampler: str, strength: float) -> None:
    soft = walked(sampler, DDPM(), torch.full((1, 1, 4, 4), strength))[0]
    noise = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    levels = make_steps(DDPM(), "simple", 6, strength)
    x = levels[0].alpha * GIVEN + levels[0].sigma * noise
    plain = SAMPLERS[sampler](shrinking, x, levels, noise=StepNoise((2, 4, 4), [3]))
    assert torch.equal(soft, plain)


def test_a_cell_joins_in_its_turn() -> None:
    amount = torch.tensor([0.0, 0.01, 0.5, 1.0]).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert last_steps(amount, 6)[0, 0, 0].tolist() == [0, 1, 3, 6]
    joined: list[list[bool]] = []
    levels = make_steps(DDPM(), "simple", 6)
    kept = keep(lambda x, _: x * 0 + 9, GIVEN, last_steps(amount, 6), levels)
    for level in levels[:-1]:
        joined.append((kept(GIVEN, level)[0, 0, 0] == 9).tolist())
    assert [sum(column) for column in zip(*joined, strict=True)] == [0, 1, 3, 6]
    assert joined[-1] == [False, True, True, True]


def test_the_start_is_noise_alone_only_where_all_may_change() -> None:
    noise, level = torch.randn(2, 2, 4, 4), make_steps(DDPM(), "simple", 2)[0]
    amount = torch.tensor([1.0, 0.999, 0.5, 0.0]).reshape(1, 1, 1, 4).repeat(1, 1, 4, 1)
    x = started(noise, level, GIVEN, amount)
    assert torch.equal(x[..., 0], started(noise, level)[..., 0])
    assert torch.equal(x[..., 1:], (level.alpha * GIVEN + level.sigma * noise)[..., 1:])
    assert torch.equal(started(noise, CLEAN), noise)
