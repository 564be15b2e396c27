"""Parity: every update rule against diffusers' scheduler, given the same levels, noise and model outputs."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import diffusers
import pytest
from torch import Tensor

from fictile.sampling import (
    Denoise,
    Sampler,
    ddim,
    ddpm,
    dpmpp_2m,
    dpmpp_2m_sde,
    euler,
    euler_ancestral,
    heun,
    lcm,
    uni_pc,
    uni_pc_bh2,
)
from fictile.schedule import CLEAN, Level

from .toy import denoise, relative_error, seeded_noise, start

# diffusers turns tensors into numpy arrays in a way that numpy 2 dislikes.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SCALED_LINEAR: dict[str, object] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
ZERO_SNR: dict[str, object] = {
    "timestep_spacing": "trailing",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
}
LEADING: dict[str, object] = {"timestep_spacing": "leading", "steps_offset": 1}
UNCLIPPED: dict[str, object] = {"clip_sample": False}
FLOW_SIGMAS: dict[str, object] = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A sampler and its oracle: the scheduler, how it tells its levels, what it wants a model to put out."""

    sampler: Sampler
    scheduler: str
    levels: Literal["ratio", "table", "flow"] = "ratio"
    scaled: bool = False  # whether the scheduler's latent is x / alpha
    options: dict[str, object] = field(default_factory=dict[str, object])
    step: dict[str, object] = field(default_factory=dict[str, object])


MULTISTEP = "DPMSolverMultistepScheduler"
SDE: dict[str, object] = {"algorithm_type": "sde-dpmsolver++"}
CASES = {
    "euler": Case(sampler=euler, scheduler="EulerDiscreteScheduler", scaled=True),
    "euler flow": Case(
        sampler=euler, scheduler="FlowMatchEulerDiscreteScheduler", levels="flow", options={"shift": 3.0}
    ),
    "euler_ancestral": Case(sampler=euler_ancestral, scheduler="EulerAncestralDiscreteScheduler", scaled=True),
    "heun": Case(sampler=heun, scheduler="HeunDiscreteScheduler", scaled=True),
    "heun flow": Case(sampler=heun, scheduler="FlowMatchHeunDiscreteScheduler", levels="flow", options={"shift": 3.0}),
    "ddim": Case(sampler=ddim, scheduler="DDIMScheduler", levels="table", options=LEADING | UNCLIPPED),
    "ddim eta 0.6": Case(
        sampler=partial(ddim, eta=0.6),
        scheduler="DDIMScheduler",
        levels="table",
        options=LEADING | UNCLIPPED,
        step={"eta": 0.6},
    ),
    "ddim eta 1": Case(
        sampler=partial(ddim, eta=1.0),
        scheduler="DDIMScheduler",
        levels="table",
        options=LEADING | UNCLIPPED,
        step={"eta": 1.0},
    ),
    "ddim from alpha 0": Case(
        sampler=partial(ddim, eta=0.5),
        scheduler="DDIMScheduler",
        levels="table",
        options=ZERO_SNR | UNCLIPPED,
        step={"eta": 0.5},
    ),
    "ddpm": Case(sampler=ddpm, scheduler="DDPMScheduler", levels="table", options=LEADING | UNCLIPPED),
    "ddpm from alpha 0": Case(sampler=ddpm, scheduler="DDPMScheduler", levels="table", options=ZERO_SNR | UNCLIPPED),
    "dpmpp_2m": Case(sampler=dpmpp_2m, scheduler=MULTISTEP),
    "dpmpp_2m karras": Case(sampler=dpmpp_2m, scheduler=MULTISTEP, options={"use_karras_sigmas": True}),
    "dpmpp_2m flow": Case(sampler=dpmpp_2m, scheduler=MULTISTEP, levels="flow", options=FLOW_SIGMAS),
    "dpmpp_2m_sde": Case(sampler=dpmpp_2m_sde, scheduler=MULTISTEP, options=SDE),
    "dpmpp_2m_sde flow": Case(sampler=dpmpp_2m_sde, scheduler=MULTISTEP, levels="flow", options=SDE | FLOW_SIGMAS),
    "lcm": Case(sampler=lcm, scheduler="LCMScheduler", levels="table", options=UNCLIPPED),
    "lcm flow": Case(sampler=lcm, scheduler="FlowMatchLCMScheduler", levels="flow", options={"shift": 3.0}),
}
for variant in ("bh1", "bh2"):
    for order in (1, 2, 3):
        name, solver = f"uni_pc {variant} order {order}", partial(uni_pc, order=order, variant=variant)
        options: dict[str, object] = {"solver_type": variant, "solver_order": order}
        CASES[name] = Case(sampler=solver, scheduler="UniPCMultistepScheduler", options=options)
        CASES[f"{name} flow"] = Case(
            sampler=solver, scheduler="UniPCMultistepScheduler", levels="flow", options=options | FLOW_SIGMAS
        )
CASES["uni_pc_bh2"] = Case(
    sampler=uni_pc_bh2, scheduler="UniPCMultistepScheduler", options={"solver_type": "bh2", "solver_order": 2}
)


@pytest.mark.parametrize("count", [1, 2, 8, 20])  # divisors of 1000, on which all of diffusers agrees
@pytest.mark.parametrize("name", CASES)
def test_the_whole_walk_equals_diffusers(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    scheduler = made(case)
    scheduler.set_timesteps(count)
    evaluated = levels_of(scheduler, case)
    steps = [level for i, level in enumerate(evaluated) if i == 0 or level != evaluated[i - 1]]

    ours: list[Tensor] = []
    end = case.sampler(recorded(ours), start(), [*steps, CLEAN], noise=seeded_noise())

    share_noise(monkeypatch, scheduler)
    theirs: list[Tensor] = []
    model = recorded(theirs)
    x = start() / steps[0].alpha if case.scaled else start()
    for time, level in zip(scheduler.timesteps, evaluated, strict=True):
        seen = scheduler.scale_model_input(x, time) if hasattr(scheduler, "scale_model_input") else x
        output = output_for(scheduler, seen, level, model(seen, level))
        x = scheduler.step(output, time, x, **case.step).prev_sample
    for mine, its in zip(ours, theirs, strict=True):
        assert relative_error(mine, its) <= 1e-4
    # diffusers' bh1 multiplies 0 by infinity in the step to sigma = 0, where every solver must return x0.
    expected = denoise(theirs[-1], evaluated[-1]) if case.options.get("solver_type") == "bh1" else x
    assert relative_error(end, expected) <= 1e-4


def recorded(seen: list[Tensor]) -> Denoise:
    """The stand-in for a network, writing down each latent that it is asked about."""

    def look(x: Tensor, level: Level) -> Tensor:
        seen.append(x)
        return denoise(x, level)

    return look


def made(case: Case) -> Any:
    options = case.options if "Flow" in case.scheduler else SCALED_LINEAR | case.options
    return getattr(diffusers, case.scheduler)(**options)


def levels_of(scheduler: Any, case: Case) -> list[Level]:
    """The level of each model evaluation, read from the scheduler itself."""
    levels: list[Level] = []
    for i, time in enumerate(scheduler.timesteps.double().tolist()):
        match case.levels:
            case "flow":
                sigma = scheduler.sigmas[i].item()
                levels.append(Level(alpha=1 - sigma, sigma=sigma, time=time))
            case "ratio":
                ratio = scheduler.sigmas[i].item()
                levels.append(Level(alpha=(1 + ratio**2) ** -0.5, sigma=ratio * (1 + ratio**2) ** -0.5, time=time))
            case "table":
                squared = scheduler.alphas_cumprod[int(time)].double().item()
                levels.append(Level(alpha=squared**0.5, sigma=(1 - squared) ** 0.5, time=time))
    return levels


def output_for(scheduler: Any, x: Tensor, level: Level, x0: Tensor) -> Tensor:
    """What a model that predicts as the scheduler expects would put out for this x0."""
    match scheduler.config.get("prediction_type", "flow_prediction"):
        case "epsilon":
            return (x - level.alpha * x0) / level.sigma
        case "v_prediction":
            return (level.alpha * x - x0) / level.sigma
        case _:
            return (x - x0) / level.sigma


def share_noise(monkeypatch: pytest.MonkeyPatch, scheduler: Any) -> None:
    """Makes the scheduler's i-th draw the noise of step i."""
    noise, drawn = seeded_noise(), iter(range(1000))
    draw: Callable[..., Tensor] = lambda *_, **__: noise(next(drawn))  # noqa: E731 - a name for its type
    module = importlib.import_module(type(scheduler).__module__)
    if hasattr(module, "randn_tensor"):
        monkeypatch.setattr(module, "randn_tensor", draw)
