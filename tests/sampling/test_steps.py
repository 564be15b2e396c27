"""Each step schedule against its namesake: diffusers where it has one, else the definition written out again here."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from scipy.stats import beta as beta_distribution

from fictile.errors import RequestError
from fictile.sampling import SCHEDULES, make_steps
from fictile.sampling.spacing import beta_quantile
from fictile.schedule import CLEAN, DDPM, Cosine, Flow, Level, Schedule

# diffusers turns tensors into numpy arrays in a way that numpy 2 dislikes.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KINDS: list[Schedule] = [DDPM(), DDPM(zero_terminal_snr=True), Cosine(), Flow(), Flow(shift=3.0)]
COUNTS = [1, 2, 5, 20, 28, 30]


def times(steps: list[Level]) -> list[float]:
    return [level.time for level in steps[:-1]]


def ratios(steps: list[Level]) -> list[float]:
    return [level.sigma / level.alpha for level in steps[:-1]]


def diffusers_euler(count: int, **options: Any) -> tuple[list[float], list[float]]:
    """The times and sigmas of diffusers' Euler scheduler, without the zero at the end."""
    oracle: Any = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **options)
    oracle.set_timesteps(count)
    return oracle.timesteps.tolist(), oracle.sigmas[:-1].tolist()


def diffusers_flow(count: int, shift: float, **options: Any) -> list[float]:
    oracle: Any = FlowMatchEulerDiscreteScheduler(shift=shift, **options)
    oracle.set_timesteps(count)
    return oracle.sigmas[:-1].tolist()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_leading_and_trailing_equal_diffusers(spacing: str, count: int) -> None:
    offset = 1 if spacing == "leading" else 0
    expected_times, expected_sigmas = diffusers_euler(count, timestep_spacing=spacing, steps_offset=offset)
    steps = make_steps(DDPM(), spacing, count)
    assert times(steps) == expected_times
    assert ratios(steps) == pytest.approx(expected_sigmas, rel=1e-4)


@pytest.mark.parametrize("count", [2, 4, 10, 28, 38])  # 999 / (count - 1) is whole: nothing to interpolate or round
def test_normal_equals_diffusers_linspace(count: int) -> None:
    expected_times, expected_sigmas = diffusers_euler(count, timestep_spacing="linspace")
    steps = make_steps(DDPM(), "normal", count)
    assert times(steps) == pytest.approx(expected_times, abs=1e-3)
    assert ratios(steps) == pytest.approx(expected_sigmas, rel=1e-4)


@pytest.mark.parametrize("count", [1, 3, 9, 27, 37])
def test_sgm_uniform_equals_diffusers_linspace_of_multistep_solvers(count: int) -> None:
    oracle: Any = DPMSolverMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    oracle.set_timesteps(count)
    steps = make_steps(DDPM(), "sgm_uniform", count)
    assert times(steps) == pytest.approx(oracle.timesteps.tolist())
    assert ratios(steps) == pytest.approx(oracle.sigmas[:-1].tolist(), rel=1e-4)


@pytest.mark.parametrize("count", [2, 5, 20, 30])
@pytest.mark.parametrize("name", ["karras", "exponential"])
def test_ramps_equal_diffusers(name: str, count: int) -> None:
    """With linspace, diffusers' Euler scheduler has the same ends; with its other spacings the ramp has others."""
    expected_times, expected_sigmas = diffusers_euler(
        count, timestep_spacing="linspace", **{f"use_{name}_sigmas": True}
    )
    steps = make_steps(DDPM(), name, count)
    assert ratios(steps) == pytest.approx(expected_sigmas, rel=1e-4)
    assert times(steps) == pytest.approx(expected_times, abs=0.05)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_normal_of_flows_equals_diffusers(count: int, shift: float) -> None:
    sigmas = [level.sigma for level in make_steps(Flow(shift=shift), "normal", count)[:-1]]
    assert sigmas == pytest.approx(diffusers_flow(count, shift), rel=1e-5)


@pytest.mark.parametrize("name", ["karras", "exponential"])
def test_ramps_of_flows_equal_diffusers(name: str) -> None:
    sigmas = [level.sigma for level in make_steps(Flow(), name, 20)[:-1]]
    assert sigmas == pytest.approx(diffusers_flow(20, 1.0, **{f"use_{name}_sigmas": True}), rel=1e-4)


def table(schedule: Schedule) -> np.ndarray:
    """sigma / alpha (flows: sigma) of the training times, written out again from the papers."""
    if isinstance(schedule, Flow):
        u = np.arange(1, 1001) / 1000
        return schedule.shift * u / (1 + (schedule.shift - 1) * u)
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    return np.sqrt((1 - kept) / kept)


def between(schedule: Schedule, places: np.ndarray) -> np.ndarray:
    """The noise at times between training times: straight in log sigma, or shifted once more for flows."""
    if isinstance(schedule, Flow):
        u = places / 1000
        return schedule.shift * u / (1 + (schedule.shift - 1) * u)
    return np.exp(np.interp(places, np.arange(1000), np.log(table(schedule))))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("schedule", [DDPM(), Flow(), Flow(shift=3.0)], ids=str)
def test_comfy_names_equal_their_definitions(schedule: Schedule, count: int) -> None:
    sigmas = table(schedule)
    flow = isinstance(schedule, Flow)
    first, last = (1000 * sigmas[-1], 1000 * sigmas[0]) if flow else (999.0, 0.0)
    quantiles = beta_distribution.ppf(1 - np.arange(count) / count, 0.6, 0.6)
    expected = {
        "normal": between(schedule, np.linspace(first, last, count)),
        "sgm_uniform": between(schedule, np.linspace(first, last, count + 1)[:-1]),
        "simple": np.array([sigmas[-1 - int(k * 1000 / count)] for k in range(count)]),
        "beta": sigmas[np.rint(quantiles * 999).astype(int)],
    }
    for name, wanted in expected.items():
        steps = make_steps(schedule, name, count)[:-1]
        ours = [level.sigma if flow else level.sigma / level.alpha for level in steps]
        np.testing.assert_allclose(ours, wanted, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("probability", [1e-6, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0])
def test_beta_quantile(probability: float) -> None:
    expected = float(beta_distribution.ppf(probability, 0.6, 0.6))
    assert beta_quantile(probability, 0.6) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", KINDS, ids=str)
@pytest.mark.parametrize("name", SCHEDULES)
def test_levels_fall_and_end_clean(name: str, schedule: Schedule) -> None:
    for count in (1, 2, 20, 150):
        steps = make_steps(schedule, name, count)
        assert len(steps) == count + 1
        assert steps[-1] == CLEAN
        lams = torch.tensor([level.lam for level in steps])
        assert (lams[1:] > lams[:-1]).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_as_many_steps_as_training_times(name: str) -> None:
    assert len({level.time for level in make_steps(Flow(), name, 1000)}) == 1001


@pytest.mark.parametrize("name", ["normal", "karras", "exponential", "sgm_uniform", "simple", "beta", "trailing"])
def test_all_but_leading_start_at_the_noisiest_time(name: str) -> None:
    for schedule in KINDS:
        assert make_steps(schedule, name, 10)[0] == schedule.entry(schedule.steps - 1)


def test_strength_keeps_the_last_steps() -> None:
    whole = make_steps(DDPM(), "karras", 20)
    assert make_steps(DDPM(), "karras", 20, 0.5) == whole[10:]
    assert make_steps(DDPM(), "karras", 20, 0.3) == whole[14:]
    assert make_steps(DDPM(), "karras", 20, 0.01) == whole[19:]


@pytest.mark.parametrize(
    ("name", "count", "strength", "told"),
    [
        ("normal", 0, 1.0, "0 steps"),
        ("normal", -3, 1.0, "-3 steps"),
        ("normal", 1001, 1.0, "1001 steps"),
        ("normal", 10, 0.0, r"Strength 0\.0"),
        ("normal", 10, 1.2, r"Strength 1\.2"),
        ("normal", 10, float("nan"), "Strength nan"),
        ("karas", 10, 1.0, "nearest is 'karras'"),
    ],
)
def test_bad_requests_are_named(name: str, count: int, strength: float, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        make_steps(DDPM(), name, count, strength)
