"""Parity: update rules against k-diffusion, whose functions step in y = x / alpha with sigma / alpha."""

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from fictile.sampling import Sampler, dpmpp_2m, dpmpp_2m_sde, euler, euler_ancestral, heun, make_steps
from fictile.schedule import CLEAN, DDPM, Flow, Level

from .toy import denoise, relative_error, seeded_noise, start

STEPS: dict[str, list[Level]] = {
    "variance-preserving": make_steps(DDPM(), "karras", 12),
    "flow": make_steps(Flow(shift=2.0), "normal", 13)[1:],  # not from alpha = 0, where sigma / alpha is infinite
}

CASES: dict[str, tuple[Sampler, str, dict[str, object]]] = {
    "euler": (euler, "sample_euler", {}),
    "heun": (heun, "sample_heun", {}),
    "euler_ancestral": (euler_ancestral, "sample_euler_ancestral", {}),
    "euler_ancestral eta 0.4": (partial(euler_ancestral, eta=0.4), "sample_euler_ancestral", {"eta": 0.4}),
    "dpmpp_2m": (dpmpp_2m, "sample_dpmpp_2m", {}),
    "dpmpp_2m_sde": (dpmpp_2m_sde, "sample_dpmpp_2m_sde", {}),
    "dpmpp_2m_sde eta 0.4": (partial(dpmpp_2m_sde, eta=0.4), "sample_dpmpp_2m_sde", {"eta": 0.4}),
}


def append_dims(x: Tensor, dims: int) -> Tensor:
    """What k_diffusion.utils gives to the functions under test: ones appended to the shape, up to `dims`."""
    return x.reshape(*x.shape, *[1] * (dims - x.dim()))


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    """k_diffusion/sampling.py alone: the package's own __init__ asks for libraries that these functions do not use."""
    package = importlib.util.find_spec("k_diffusion")
    if package is None or package.origin is None:
        pytest.skip("k-diffusion is not installed (pip install --no-deps k-diffusion)")
    stubs = {name: ModuleType(name) for name in ("torchdiffeq", "torchsde", "k_diffusion", "k_diffusion.utils")}
    stubs["torchdiffeq"].__dict__["odeint"] = None
    stubs["k_diffusion"].__dict__["utils"] = stubs["k_diffusion.utils"]
    stubs["k_diffusion.utils"].__dict__["append_dims"] = append_dims
    path = Path(package.origin).with_name("sampling.py")
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name, stub in stubs.items():
            patch.setitem(sys.modules, name, stub)
        spec.loader.exec_module(module)
    return module


# Heun steps in the flow's time on flows, and diffusers is its oracle there.
WALKS = [(name, kind) for name in CASES for kind in STEPS if (name, kind) != ("heun", "flow")]


@pytest.mark.parametrize(("name", "kind"), WALKS)
def test_the_whole_walk_equals_k_diffusion(name: str, kind: str, oracle: ModuleType) -> None:
    (sampler, function, options), steps = CASES[name], STEPS[kind]
    ratios = torch.tensor([level.sigma / level.alpha for level in steps])
    levels = dict(zip(ratios.tolist(), steps, strict=True))

    def model(y: Tensor, ratio: Tensor) -> Tensor:
        level = levels[ratio[0].item()]
        return denoise(level.alpha * y, level)

    noise = seeded_noise()
    if "ancestral" in name or "sde" in name:
        drawn: Callable[[Any, Any], Tensor] = lambda now, _: noise(list(levels).index(float(now)))  # noqa: E731
        options = options | {"noise_sampler": drawn}
    theirs = getattr(oracle, function)(model, start() / steps[0].alpha, ratios, disable=True, **options)

    ours = sampler(denoise, start(), steps, noise=noise)
    assert steps[-1] == CLEAN
    assert relative_error(ours, theirs) <= 1e-4


def test_ramps_equal_k_diffusion(oracle: ModuleType) -> None:
    ends = DDPM().scale(0.0), DDPM().scale(999.0)
    for name, ramp in (("karras", oracle.get_sigmas_karras), ("exponential", oracle.get_sigmas_exponential)):
        ours = [level.sigma / level.alpha for level in make_steps(DDPM(), name, 17)]
        torch.testing.assert_close(torch.tensor(ours), ramp(17, *ends), rtol=1e-5, atol=0)
