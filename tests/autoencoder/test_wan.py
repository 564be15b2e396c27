"""The causal video autoencoder on single frames: parity with diffusers, sizes, and what its weights keep."""

from typing import Any

import pytest
import torch
from tests.autoencoder.twins import diffusers_twin, parity, picture, random_network, relative_error

from fictile.autoencoder import WAN21, Wan, WanSpec
from fictile.errors import RequestError

TINY = WanSpec(channels=4, widths=(8, 16, 32, 32), layers=1)


@pytest.mark.parametrize("qwen", [False, True])
@pytest.mark.parametrize(
    "spec", [TINY, WanSpec(channels=3, widths=(12, 24), layers=2, temporal=(False,))], ids=["four levels", "two"]
)
def test_equals_diffusers(spec: WanSpec, qwen: bool) -> None:
    ours = random_network(spec)
    assert ours.decode(ours.encode(picture(32, 48))[0]).abs().mean() < 1  # else the reference's clamp would hide much
    assert max(parity(ours, diffusers_twin(ours, qwen=qwen), picture(32, 48))) < 1e-5


def test_full_size() -> None:
    with torch.device("meta"):
        built = Wan(WanSpec())
    assert WAN21.spec == WanSpec()
    assert sum(parameter.numel() for parameter in built.parameters()) == 126_892_531


def test_half_precision_stays_close() -> None:
    ours = random_network(TINY)
    expected = ours.decode(ours.encode(picture(16, 16))[0])
    for dtype in (torch.bfloat16, torch.float16):
        half = random_network(TINY).to(dtype)
        seen = half.decode(half.encode(picture(16, 16).to(dtype))[0])
        assert seen.dtype == dtype
        assert relative_error(seen.float(), expected) < 0.05


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"widths": ()}, "no widths"),
        ({"layers": 0}, "below 1"),
        ({"widths": (96, 193, 384, 384)}, "must be even"),
        ({"temporal": (True,)}, "4 levels was given"),
    ],
)
def test_a_spec_that_cannot_be_built_is_refused(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        WanSpec(**numbers)
