"""People type ComfyUI's, A1111's or diffusers' names."""

from pathlib import Path

import pytest

from fictile.errors import RequestError
from fictile.sampling import (
    A1111_SAMPLERS,
    A1111_SCHEDULES,
    SAMPLERS,
    SCHEDULES,
    sampler_name,
    schedule_name,
    split_name,
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *((name, name) for name in SAMPLERS),
        ("Euler a", "euler_ancestral"),
        ("euler A", "euler_ancestral"),
        (" Heun ", "heun"),
        ("DPM++ 2M", "dpmpp_2m"),
        ("dpm++ 2m sde", "dpmpp_2m_sde"),
        ("UniPC", "uni_pc"),
        ("DDIM", "ddim"),
        ("LCM", "lcm"),
        ("EulerDiscreteScheduler", "euler"),
        ("DPMSolverMultistepScheduler", "dpmpp_2m"),
        ("UniPCMultistepScheduler", "uni_pc_bh2"),
    ],
)
def test_samplers(typed: str, meant: str) -> None:
    assert sampler_name(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *((name, name) for name in SCHEDULES),
        ("Karras", "karras"),
        ("SGM Uniform", "sgm_uniform"),
        ("Uniform", "normal"),
        ("linspace", "normal"),
        ("ddim_uniform", "leading"),
    ],
)
def test_step_schedules(typed: str, meant: str) -> None:
    assert schedule_name(typed) == meant


def test_old_a1111_names_hold_both() -> None:
    assert split_name("DPM++ 2M Karras") == ("dpmpp_2m", "karras")
    assert split_name("DPM++ 2M SDE Exponential") == ("dpmpp_2m_sde", "exponential")
    assert split_name("Euler a") == ("euler_ancestral", None)
    assert split_name("euler") == ("euler", None)


def test_every_name_that_is_written_for_a1111_is_read_back() -> None:
    assert A1111_SAMPLERS.keys() == SAMPLERS.keys()
    assert A1111_SCHEDULES.keys() == SCHEDULES.keys()
    assert all(sampler_name(theirs) == ours for ours, theirs in A1111_SAMPLERS.items())
    assert all(schedule_name(theirs) == ours for ours, theirs in A1111_SCHEDULES.items())


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="Sampler 'eulr' is unknown; the nearest is 'euler'"):
        sampler_name("eulr")
    with pytest.raises(RequestError, match="nearest is 'exponential'"):
        schedule_name("exponentail")
    with pytest.raises(RequestError, match="Sampler '' is unknown"):
        sampler_name("")


def test_the_documentation_has_a_row_for_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "samplers.md").read_text()
    for name in (*SAMPLERS, *SCHEDULES):
        assert f"\n| `{name}` |" in page
