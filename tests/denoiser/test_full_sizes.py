"""Parity of the published U-Nets with diffusers, on random weights in float32. Slow: `scripts/test -m slow`.

The largest takes 10.3 GB, so that the two networks are never there together: the second is built when the first is
gone, with the same weights, since each tensor is drawn from a seed that its name gives.
"""

import gc
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.denoiser.test_unet import inputs, twin
from torch import Tensor, nn

from fictile.denoiser import REFINER, SD15, SD21, SDXL, SSD_1B, VEGA, UNet, UNetSpec

pytestmark = pytest.mark.slow

SPECS = {
    "sd15": SD15,
    "sd15-inpainting": replace(SD15, in_channels=9),
    "sd21": SD21,
    "sdxl": SDXL,
    "refiner": REFINER,
    "ssd-1b": SSD_1B,
    "vega": VEGA,
}


@pytest.mark.parametrize("name", SPECS)
def test_equals_diffusers(name: str) -> None:
    assert error(SPECS[name]) <= 1e-4


@torch.no_grad()
def error(spec: UNetSpec) -> float:
    """The largest difference between the answers of the two networks, as a part of the largest of diffusers'."""
    x, time, context, added = inputs(spec, height=16, width=24, count=1)
    ours = answer(lambda: UNet(spec), lambda network: network(x, time, context, added))
    more = {"text_embeds": added.pooled, "time_ids": added.sizes} if added else None
    theirs = answer(lambda: twin(spec), lambda network: network(x, time, context, added_cond_kwargs=more).sample)
    return float((ours - theirs).abs().max() / theirs.abs().max())


def answer(make: Callable[[], Any], ask: Callable[[Any], Tensor]) -> Tensor:
    """What a network with drawn weights answers; it is gone afterwards."""
    with torch.device("meta"):
        network = make()
    filled(network)
    given = ask(network)
    del network
    gc.collect()
    return given


def filled(network: nn.Module) -> None:
    """Weights that neither grow nor shrink what passes through, each tensor from the seed that its name gives."""
    assert not list(network.buffers()), "a buffer would be left without its values"
    network.to_empty(device="cpu").eval()
    for name, parameter in network.named_parameters():
        dice = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        spread = (3 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.2
        parameter.uniform_(centre - spread, centre + spread, generator=dice)
