"""A picture in bands comes out as it does whole, for every kind of network, whatever its plan keeps."""

from dataclasses import replace

import pytest
import torch
from tests.autoencoder.twins import random_network
from torch import Tensor

from fictile.autoencoder import DCSpec, KLSpec, Spec, TinySpec, WanSpec, tiling
from fictile.autoencoder.tiling import networks
from fictile.autoencoder.tiling.costs import count_costs
from fictile.autoencoder.tiling.plan import Plan, Planner
from fictile.convolution import fast_convolutions, folded

SPECS: dict[str, Spec] = {
    "kl": KLSpec(widths=(8, 16, 16), layers=2, groups=4),
    "kl, other decoder": KLSpec(widths=(8, 16), layers=1, groups=4, channels=8, quant=False, decoder_widths=(12, 20)),
    "kl, stem, no attention": KLSpec(widths=(8, 16), layers=1, groups=4, stem=2, mid_attention=False),
    "sana": DCSpec(
        channels=4,
        widths=(8, 16, 16, 32),
        encoder_layers=(1, 2, 1, 2),
        decoder_layers=(2, 1, 1, 1),
        residual_levels=2,
        head_width=8,
    ),
    "dc-ae": DCSpec(
        channels=8,
        widths=(8, 16, 32, 32),
        encoder_layers=(0, 2, 1, 2),
        decoder_layers=(0, 1, 1, 2),
        residual_levels=2,
        head_width=8,
        kernels=(3, 5),
        fold=True,
        batch_norm=True,
    ),
    "wan": WanSpec(channels=4, widths=(8, 16, 16), layers=1, temporal=(False, True)),
    "tiny": TinySpec(width=8, encoder_layers=(1, 1, 1), decoder_layers=(1, 1, 1), decoder_widths=(8, 12, 16)),
    "tiny, pool": TinySpec(width=8, encoder_layers=(1, 2), decoder_layers=(1, 2), decoder_widths=(8, 8), pool=True),
    "tiny, stem": TinySpec(
        width=8, encoder_layers=(1,), decoder_layers=(1, 1, 1), decoder_widths=(8, 8, 8), stem_widths=(4,)
    ),
}
ROUNDING = 2e-5  # of the range, for float32 through so few layers
CELLS = (7, 5)


def steep(height: int, width: int) -> Tensor:
    """From black at the upper left to white at the lower right, with a hard edge and some noise."""
    down, across = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None, :]
    pixels = (down + across).clamp(-1, 1).repeat(1, 3, 1, 1)
    pixels[:, 0, : height // 3] = 1
    return (pixels + 0.1 * torch.randn(1, 3, height, width)).clamp(-1, 1)


def of_range(seen: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the expected range."""
    assert seen.shape == expected.shape
    return float((seen - expected).abs().max() / (expected.max() - expected.min()))


def plans(spec: Spec, *, encode: bool) -> dict[str, Plan]:
    """The one that keeps all it can and the one that keeps the least, in whole bands and row by row."""
    high, wide = CELLS
    planner = Planner(costs=count_costs(spec, torch.float32, encode=encode, fast=False), high=high, wide=wide)
    fast, small = planner.plan(2**40), planner.plan(0)

    def by_row(plan: Plan, rows: int) -> Plan:
        return replace(plan, passes=tuple(replace(one, rows=rows) for one in plan.passes))

    return {"fast": by_row(fast, 3), "small": by_row(small, 1), "small, whole": small}


@pytest.mark.parametrize("name", SPECS)
def test_decodes_what_an_untiled_run_does(name: str) -> None:
    spec = SPECS[name]
    network = random_network(spec)
    z = torch.randn(2, spec.channels, *CELLS) * torch.linspace(0.1, 4, CELLS[0])[:, None]
    expected = network.decode(z)
    for plan in plans(spec, encode=False).values():
        assert of_range(tiling.decode(network, z, plan), expected) < ROUNDING


@pytest.mark.parametrize("name", SPECS)
def test_encodes_what_an_untiled_run_does(name: str) -> None:
    spec = SPECS[name]
    network = random_network(spec)
    pixels = steep(*(side * spec.factor for side in CELLS))
    mean, logvar = network.encode(pixels)
    for plan in plans(spec, encode=True).values():
        seen, doubt = tiling.encode(network, pixels, plan)
        assert of_range(seen, mean) < ROUNDING
        assert torch.equal(doubt, logvar) or of_range(doubt, logvar) < ROUNDING


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_wide_maps_are_doubled_with_fewer_multiplications(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = KLSpec(widths=(192, 192), layers=1)
    network = random_network(spec).to(dtype)
    z = torch.randn(1, spec.channels, 64, 20).to(dtype)
    taken: list[int] = []

    def noted(x: Tensor, kernels: Tensor, bias: Tensor, *, rows: int) -> Tensor:
        taken.append(x.shape[2])
        return folded(x, kernels, bias, rows=rows)

    monkeypatch.setattr(networks, "folded", noted)
    plan = tiling.make_plan(spec, (128, 40), dtype, encode=False)
    plan = replace(plan, passes=tuple(replace(one, rows=16) for one in plan.passes))
    with torch.no_grad():
        direct = tiling.decode(network, z, plan)
        assert not taken
        with fast_convolutions():
            fast = tiling.decode(network, z, plan)
    assert len(taken) > 1, "the bands of a map, one after another"
    assert of_range(fast, direct) < (ROUNDING if dtype == torch.float32 else 0.05)
