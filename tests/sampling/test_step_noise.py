"""Noise depends on the seed and the step and on nothing else."""

import pytest
import torch

from fictile.errors import RequestError
from fictile.sampling import StepNoise, initial_noise

SHAPE = (4, 8, 8)


def test_sample_i_is_drawn_from_seed_plus_i() -> None:
    together = initial_noise(SHAPE, 40, 3)
    for i in range(3):
        assert torch.equal(together[i], initial_noise(SHAPE, 40 + i, 1)[0])


def test_steps_may_be_skipped_and_repeated() -> None:
    noise = StepNoise(SHAPE, [1, 2])
    third = StepNoise(SHAPE, [1, 2])(3)
    noise(0)
    assert torch.equal(noise(3), third)
    assert torch.equal(noise(3), third)


def test_a_sample_keeps_its_noise_in_any_batch() -> None:
    assert torch.equal(StepNoise(SHAPE, [5, 6, 7])(2)[1], StepNoise(SHAPE, [6])(2)[0])


def test_all_draws_differ_and_are_standard_normal() -> None:
    shape = (4, 64, 64)
    draws = [*initial_noise(shape, 0, 3), *(one for step in range(3) for one in StepNoise(shape, [0, 1, 2])(step))]
    stacked = torch.stack(draws).flatten(1)
    correlation = stacked.corrcoef() - torch.eye(len(draws))
    assert correlation.abs().max() < 0.05
    assert stacked.mean().abs() < 0.02
    assert abs(stacked.std().item() - 1) < 0.02


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    initial_noise(SHAPE, 3, 2)
    StepNoise(SHAPE, [3])(0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_named(seed: int) -> None:
    with pytest.raises(RequestError, match=f"Seed {seed}"):
        initial_noise(SHAPE, seed, 1)
    with pytest.raises(RequestError, match=f"Seed {seed}"):
        StepNoise(SHAPE, [seed])
