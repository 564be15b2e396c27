"""What a request is said to take: in which order, for which reasons, and beside a process that really does it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tiny_model import tiny_folder

from fictile.autoencoder import tiling
from fictile.checkpoint import Parts
from fictile.engine import Rates, choose_runtime
from fictile.planning import Forecast, Request, Speeds, Way, forecast, outline, request_for

MIB = 2**20
RATES = Rates(matrix=1e9, convolution=1e9, attention=1e9, touched=1e9, fresh=1e9, calls=1e6, laid=1e9, hashed=1e9)
PLENTY = 2**40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Parts:
    return outline(folder)


def way(group: int = 1, *, tiling: bool = False) -> Way:
    return Way(runtime=choose_runtime("cpu", "float32"), group=group, tiling=tiling)


def told(parts: Parts, request: Request, *, group: int = 99, tiling: bool = False, room: int = PLENTY) -> Forecast:
    how = way(min(group, request.count), tiling=tiling)
    return forecast(parts, request, how, Speeds(networks=RATES, autoencoder=RATES), process=0, room=room)


def test_an_outline_has_shapes_and_no_values(tiny: Parts) -> None:
    networks = (tiny.autoencoder.network, tiny.denoiser.network, *tiny.text.networks)
    assert {parameter.device.type for network in networks for parameter in network.parameters()} == {"meta"}
    assert tiny.hashes is None


def test_phases_are_those_of_the_run_in_its_order(tiny: Parts) -> None:
    names = [phase.name for phase in told(tiny, request_for(tiny, "a fox")).phases]
    assert names == ["load the model", "read the prompt", "denoise, 4 evaluations", "decode"]
    names = [phase.name for phase in told(tiny, request_for(tiny, "a fox", from_picture=True, strength=0.5)).phases]
    assert names == ["load the model", "encode", "read the prompt", "denoise, 2 evaluations", "decode"]


@pytest.mark.parametrize(("sampler", "evaluations"), [("euler", 4), ("heun", 7), ("dpmpp_2m", 4)])
def test_evaluations_are_those_that_the_sampler_makes(tiny: Parts, sampler: str, evaluations: int) -> None:
    assert len(request_for(tiny, "a fox", sampler=sampler, steps=4).levels(tiny)) == evaluations


def test_time_grows_with_steps_and_falls_without_guidance(tiny: Parts) -> None:
    def seconds(**asked: float) -> float:
        return told(tiny, request_for(tiny, "a fox", **asked)).phases[2].seconds  # pyright: ignore[reportArgumentType]

    assert seconds(steps=8) == pytest.approx(2 * seconds(steps=4), rel=0.01)  # the text is read once
    assert 0.4 < seconds(guidance=1.0) / seconds(guidance=5.0) < 0.6


def test_groups_take_less_memory_and_no_less_time(tiny: Parts) -> None:
    request = request_for(tiny, "a fox", count=8, size=(256, 256), guidance=1.0)
    whole, grouped = told(tiny, request), told(tiny, request, group=1)
    assert grouped.phases[2].memory < whole.phases[2].memory
    assert grouped.phases[2].seconds >= whole.phases[2].seconds


def test_bands_take_what_their_plan_says(tiny: Parts) -> None:
    request = request_for(tiny, "a fox", size=(256, 256))
    whole, banded = told(tiny, request), told(tiny, request, tiling=True)
    spec = tiny.autoencoder.spec
    plan = tiling.make_plan(spec, (256, 256), torch.float32, encode=False)
    pixels = 3 * 256 * 256 * 4
    assert banded.phases[-1].memory - whole.phases[1].memory == pytest.approx(plan.memory + pixels, abs=MIB)
    assert banded.phases[-1].seconds == pytest.approx(whole.phases[-1].seconds * plan.effort, rel=0.1)


def test_half_precision_halves_the_weights_of_all_but_the_autoencoder(tiny: Parts) -> None:
    request = request_for(tiny, "a fox")
    full = told(tiny, request)
    half = replace(full.way, runtime=replace(full.way.runtime, dtype=torch.bfloat16))
    found = forecast(tiny, request, half, Speeds(networks=RATES, autoencoder=RATES), process=0, room=PLENTY)
    kept = 4 * sum(parameter.numel() for parameter in tiny.autoencoder.network.parameters())
    assert found.weights - kept == (full.weights - kept) / 2


CHILD = """
import sys
from pathlib import Path
import torch
import fictile.planning
from fictile.latent import Latent
from fictile.loading import load

def kilobytes(field):
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0])

before = kilobytes("VmRSS")
model, cells = load(sys.argv[1], device="cpu", precision="float32"), int(sys.argv[2]) // 4
model.decode(Latent(torch.zeros(1, 4, cells, cells), model.space), tiling="off")
print([before * 1024, kilobytes("VmHWM") * 1024])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a system that tells a process's peak")
def test_a_child_that_decodes_peaks_where_it_was_said_to(folder: Path, tiny: Parts) -> None:
    """From 1024x1024 on, the maps of the tiny model are too large for malloc's heap, so that no gaps blur the peak."""
    size = 1088
    command = [sys.executable, "-c", CHILD, str(folder), str(size)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    before, peak = json.loads(child.stdout)
    said = told(tiny, request_for(tiny, "a fox", size=(size, size))).phases[-1].memory
    assert said > 100 * MIB, "small against what is not counted"
    assert 0.85 < (before + said) / peak < 1.15


def test_networks_that_are_let_go_are_not_held_afterwards(tiny: Parts) -> None:
    request = request_for(tiny, "a fox", from_picture=True)
    kept = told(tiny, request)
    runtime = kept.way.runtime
    once = forecast(
        tiny,
        request,
        replace(kept.way, once=True),
        Speeds(networks=RATES, autoencoder=RATES),
        process=0,
        room=PLENTY,
    )

    def weights(*networks: torch.nn.Module) -> int:
        return sum(parameter.numel() * runtime.dtype.itemsize for one in networks for parameter in one.parameters())

    text, denoiser = weights(*tiny.text.networks), weights(tiny.denoiser.network)
    saved = [before.memory - after.memory for before, after in zip(kept.phases, once.phases, strict=True)]
    assert saved == [0, 0, 0, text, text + denoiser]
    assert once.seconds == kept.seconds
