"""What is kept and what is computed again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.memory import growth
from safetensors.torch import load_file
from tests.autoencoder.tiling import within
from tests.autoencoder.twins import random_network

from fictile.autoencoder import KLSpec, tiling
from fictile.autoencoder.tiling.costs import SPARE, count_costs
from fictile.autoencoder.tiling.plan import MIB, OVERHEAD, Planner
from fictile.picture import Picture


def planner(side: int, *, encode: bool = False) -> Planner:
    return Planner(costs=count_costs(KLSpec(), torch.float32, encode=encode, fast=True), high=side // 8, wide=side // 8)


def test_costs_are_those_of_the_layers() -> None:
    costs = count_costs(
        KLSpec(widths=(8, 16), layers=1, groups=4, mid_attention=False), torch.float32, encode=False, fast=True
    )
    assert sum(step.barrier for step in costs.steps) == 2 * 6 + 1  # norms of six residual blocks, and the last one
    first = costs.steps[1]  # conv_in: 4 to 16 channels, on the one cell
    assert first.operations == 2 * 9 * 4 * 16
    assert costs.places[1].size == 4 * 4
    assert costs.places[-1].size == 4 * 3 * 2 * 2
    assert costs.places[-1].rows == 2


def test_an_untiled_decode_of_stable_diffusion_holds_two_maps_of_256_channels_and_one_of_128() -> None:
    size = (2048, 2048)
    whole = tiling.untiled_memory(KLSpec(), size, torch.float32, encode=False)
    assert whole == 5 * 128 * 2048 * 2048 * 4
    assert tiling.untiled_memory(KLSpec(), size, torch.bfloat16, encode=False) == whole // 2
    assert not tiling.is_small(KLSpec(), size, torch.float32, whole)


def test_a_plan_keeps_within_its_memory_and_computes_more_for_less() -> None:
    efforts = []
    for share in (0.5, 0.25, 0.13):
        within = int(share * planner(2048).untiled_memory)
        plan = planner(2048).plan(within)
        assert plan.memory <= within
        efforts.append(plan.effort)
    assert 1 <= efforts[0] < efforts[1] < efforts[2]
    assert efforts[1] < 1.5
    assert efforts[2] < 3


def test_the_largest_map_is_never_kept() -> None:
    costs = planner(2048).costs
    plan = planner(2048).plan(planner(2048).untiled_memory // 4)
    kept = [costs.places[one.keep].size for one in plan.passes if one.keep is not None]
    assert max(kept) == 4 * 128 * 64  # for each cell, 8x8 pixels of 128 channels; 256 of them would be the largest


def test_the_smallest_plan_is_made_where_nothing_fits() -> None:
    plan = planner(2048).plan(1)
    assert 1 < plan.memory < planner(2048).untiled_memory / 20


def test_every_barrier_is_taken_once_and_in_order() -> None:
    for encode in (False, True):
        one = planner(512, encode=encode)
        plan = one.plan(200 * MIB)
        barriers = [place for place, step in enumerate(one.costs.steps) if step.barrier]
        assert [each.end for each in plan.passes] == [*barriers, len(one.costs.steps)]


@pytest.mark.skipif(growth(lambda: None) is None, reason="the system does not say how much memory a process has had")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_plan_bounds_what_is_taken(dtype: torch.dtype) -> None:
    """Beside what is counted at most the stated overhead, and no more than it is counted."""
    network, size, cells = within.codec().autoencoder.network.to(dtype), (1024, 512), (1024 // within.SPEC.factor, 256)
    z = torch.randn(1, within.SPEC.channels, *cells).to(dtype)
    whole = tiling.untiled_memory(within.SPEC, size, dtype, encode=False)
    for share in (2 * OVERHEAD, 0):
        plan = tiling.make_plan(within.SPEC, size, dtype, encode=False, within=share)
        assert plan.memory == tiling.peak_memory(within.SPEC, size, dtype, encode=False, plan=plan)
        taken = growth(lambda plan=plan: tiling.decode(network, z, plan))
        assert taken is not None
        assert taken < plan.memory < (1 + SPARE) * (taken + OVERHEAD)
    assert tiling.peak_memory(within.SPEC, size, dtype, encode=False) == whole


@pytest.mark.skipif(sys.platform != "linux", reason="limits on addresses are Linux's")
def test_a_process_that_cannot_hold_the_whole_goes_in_bands(tmp_path: Path) -> None:
    """Under a limit on its memory a process dies untiled, and gives the right answer where it is left to choose."""
    command = [sys.executable, within.__file__, str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    exact = within.codec().autoencoder
    exact.network.double()  # torch's group norm, channels-last in float32, is off by 4e-4 of the range at this size
    for half in within.HALVES:
        assert "can't allocate memory" in (tmp_path / f"{half}-off.txt").read_text()
        assert f"{half}d in bands of rows to save memory" in done.stderr
        what = within.given(exact.space, half)
        if isinstance(what, Picture):
            expected = exact.encode(what.pixels[None]).mean
        else:
            expected = exact.decode(what)[0].clamp(-1, 1)
        seen = load_file(tmp_path / f"{half}-auto")["answer"]
        assert (seen - expected).abs().max() < 1e-5 * (expected.max() - expected.min())


def test_a_plan_is_the_same_in_inference_mode() -> None:
    spec = KLSpec(widths=(16, 32), layers=1, groups=8)
    size = (256, 256)
    count_costs.cache_clear()
    with torch.inference_mode():
        inside = tiling.make_plan(spec, size, torch.float32, encode=False, within=2**26)
    count_costs.cache_clear()
    assert inside == tiling.make_plan(spec, size, torch.float32, encode=False, within=2**26)
    assert inside.operations > 0


@pytest.mark.skipif(growth(lambda: None) is None, reason="the system does not say how much memory a process has had")
@pytest.mark.parametrize("encode", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_untiled_run_takes_what_was_counted(dtype: torch.dtype, *, encode: bool) -> None:
    """No map is held by someone who will not read it again; the rest is the libraries' own, whatever the size."""
    spec, size = KLSpec(widths=(64, 64), layers=1, mid_attention=False), (1024, 1024)
    network = random_network(spec).to(dtype).to(memory_format=torch.channels_last)
    channels, side = (3, 1) if encode else (spec.channels, spec.factor)
    x = torch.randn(1, channels, size[0] // side, size[1] // side).to(dtype)
    half = network.encode if encode else network.decode
    with torch.inference_mode():
        half(x[:, :, :64, :64])  # libraries are loaded
        taken = growth(lambda: half(x))
    counted = tiling.untiled_memory(spec, size, dtype, encode=encode)
    assert taken is not None
    assert 0.9 * counted < taken < counted + 3 * OVERHEAD
