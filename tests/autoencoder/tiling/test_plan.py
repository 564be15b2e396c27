"""What is kept and what is computed again."""

import torch

from fictile.autoencoder import KLSpec, tiling
from fictile.autoencoder.tiling.costs import count_costs
from fictile.autoencoder.tiling.plan import MIB, Planner


def planner(side: int, *, encode: bool = False) -> Planner:
    return Planner(costs=count_costs(KLSpec(), torch.float32, encode=encode), high=side // 8, wide=side // 8)


def test_costs_are_those_of_the_layers() -> None:
    costs = count_costs(KLSpec(widths=(8, 16), layers=1, groups=4, mid_attention=False), torch.float32, encode=False)
    assert sum(step.barrier for step in costs.steps) == 2 * 6 + 1  # norms of six residual blocks, and the last one
    first = costs.steps[1]  # conv_in: 4 to 16 channels, on the one cell
    assert first.operations == 2 * 9 * 4 * 16
    assert costs.places[1].size == 4 * 4
    assert costs.places[-1].size == 4 * 3 * 2 * 2
    assert costs.places[-1].rows == 2


def test_an_untiled_decode_of_stable_diffusion_holds_three_maps_of_256_channels() -> None:
    size = (2048, 2048)
    whole = tiling.untiled_memory(KLSpec(), size, torch.float32, encode=False)
    assert whole == 3 * 256 * 2048 * 2048 * 4
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
