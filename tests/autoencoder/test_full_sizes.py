"""Parity of the released sizes with diffusers, on random weights in float32. Slow: `scripts/test -m slow`."""

from typing import Any

import pytest
from tests.autoencoder.twins import diffusers_twin, parity, picture, random_network

from fictile.autoencoder import KNOWN

pytestmark = pytest.mark.slow

SIZES: dict[str, tuple[int, dict[str, Any]]] = {  # the side of the picture, and which class of diffusers
    "sd1": (64, {}),
    "sdxl": (64, {}),
    "playground-2.5": (64, {}),
    "sd3": (64, {}),
    "flux1": (64, {}),
    "flux2": (64, {"flux2": True}),
    "flux2-small-decoder": (64, {"flux2": True}),
    "wan21": (64, {}),
    "wan21 as qwen-image": (64, {"qwen": True}),
    "sana": (128, {}),
    "dc-ae-f32c32-in": (128, {}),
    "dc-ae-f64c128-in": (128, {}),
    "dc-ae-f128c512-in": (128, {}),
    "taesd": (64, {}),
    "taesdxl": (64, {}),
    "taesd3": (64, {}),
    "taef1": (64, {}),
}


@pytest.mark.parametrize("name", SIZES)
def test_equals_diffusers(name: str) -> None:
    side, twin = SIZES[name]
    ours = random_network(KNOWN[name.partition(" ")[0]].spec, strength=0.01)
    assert max(parity(ours, diffusers_twin(ours, **twin), picture(side, side, count=1))) < 1e-4
