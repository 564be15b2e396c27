"""Noise schedules against diffusers' tables and against what the papers promise."""

from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from fictile.errors import RequestError
from fictile.schedule import CLEAN, DDPM, Cosine, Flow, Level, Schedule, schedule_from_json, schedule_to_json

KINDS = [DDPM(), DDPM(zero_terminal_snr=True), Cosine(), Flow(), Flow(shift=3.0)]
IDS = ["ddpm", "zero terminal SNR", "cosine", "flow", "shifted flow"]


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        (DDPM(), {"beta_schedule": "scaled_linear"}),
        (DDPM(zero_terminal_snr=True), {"beta_schedule": "scaled_linear", "rescale_betas_zero_snr": True}),
        (Cosine(), {"beta_schedule": "squaredcos_cap_v2"}),
    ],
    ids=IDS[:3],
)
def test_alpha_equals_diffusers(schedule: Schedule, options: dict[str, Any]) -> None:
    oracle = DDPMScheduler(beta_start=0.00085, beta_end=0.012, **options)
    alpha, _ = schedule.at(torch.arange(1000.0))
    torch.testing.assert_close(alpha, oracle.alphas_cumprod.sqrt(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("schedule", KINDS, ids=IDS)
def test_noise_rises_on_the_circle_or_the_line(schedule: Schedule) -> None:
    alpha, sigma = schedule.at(torch.linspace(0, 1000, 501).double())
    power = 1 if isinstance(schedule, Flow) else 2
    torch.testing.assert_close(alpha**power + sigma**power, torch.ones(501).double())
    assert (sigma.diff() >= 0).all()


@pytest.mark.parametrize("schedule", KINDS, ids=IDS)
def test_one_level_equals_the_batch(schedule: Schedule) -> None:
    times = [0.0, 3.25, 500.0, 998.5, schedule.entry(999).time]
    alpha, sigma = schedule.at(torch.tensor(times).double())
    for i, time in enumerate(times):
        assert schedule.level(time) == Level(alpha[i].item(), sigma[i].item(), time)


@pytest.mark.parametrize("schedule", KINDS, ids=IDS)
def test_scale_and_time_are_inverse(schedule: Schedule) -> None:
    for time in (3.0, 77.7, 500.0, 998.5, 999.0):
        assert schedule.time_of(schedule.scale(time)) == pytest.approx(time)


def test_times_between_training_times_are_straight_in_log_sigma() -> None:
    schedule = DDPM()
    low, middle, high = (schedule.level(time).lam for time in (400.0, 400.25, 401.0))
    assert middle == pytest.approx(0.75 * low + 0.25 * high)


def test_times_beyond_the_ends_count_as_the_ends() -> None:
    for schedule in KINDS:
        alpha, sigma = schedule.at(torch.tensor([-5.0, 0.0, 1000.0, 2000.0]))
        assert alpha[0] == alpha[1]
        assert sigma[2] == sigma[3]


def test_stable_diffusion_range() -> None:
    assert DDPM().scale(0.0) == pytest.approx(0.0292, abs=1e-4)
    assert DDPM().scale(999.0) == pytest.approx(14.615, abs=1e-3)


def test_zero_terminal_snr_ends_in_pure_noise_and_starts_unchanged() -> None:
    rescaled = DDPM(zero_terminal_snr=True)
    assert rescaled.level(999.0) == Level(alpha=0.0, sigma=1.0, time=999.0)
    assert rescaled.level(0.0).alpha == pytest.approx(DDPM().level(0.0).alpha)
    assert rescaled.level(998.5).alpha > 0


def test_flow_shift_moves_the_steps_and_not_the_meaning_of_time() -> None:
    assert Flow(shift=3.0).level(500.0) == Flow().level(500.0) == Level(alpha=0.5, sigma=0.5, time=500.0)
    assert Flow(shift=3.0).spread(500.0) == pytest.approx(750.0)
    assert Flow(shift=3.0).entry(999) == Level(alpha=0.0, sigma=1.0, time=1000.0)


def test_the_ends_of_lambda() -> None:
    assert CLEAN.lam == float("inf")
    assert Flow().level(1000.0).lam == -float("inf")
    assert Flow().level(500.0).lam == 0


@pytest.mark.parametrize("schedule", KINDS, ids=IDS)
def test_json_and_back(schedule: DDPM | Cosine | Flow) -> None:
    assert schedule_from_json(schedule_to_json(schedule)) == schedule


def test_json_form() -> None:
    assert schedule_to_json(Flow()) == {"kind": "flow", "shift": 1.0}
    assert schedule_from_json({"kind": "ddpm"}) == DDPM()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "None is unknown"),
        ({"kind": "sine"}, "'sine' is unknown"),
        ({"kind": "flow", "turn": 3}, "turn"),
        ({"kind": "flow", "shift": "much"}, "much"),
        ({"kind": "flow", "shift": 0.0}, r"shifted by 0\.0"),
        ({"kind": "ddpm", "beta_end": 2.0}, r"2\.0"),
        ({"kind": "cosine", "steps": 1}, "1 steps"),
    ],
)
def test_bad_json_is_named(data: dict[str, object], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        schedule_from_json(data)
