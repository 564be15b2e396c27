"""The U-Net's step as a function of tensors, by torch and by OpenVINO."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.denoiser.conftest import make_denoiser
from torch import Tensor

from fictile.denoiser import Added, Conditioning, Denoiser, Guidance, UNet, UNetGraph, UNetSpec, guide, through
from fictile.engine import Job
from fictile.schedule import Level

LEVELS = [Level(alpha=0.6, sigma=0.8, time=600.0), Level(alpha=0.8, sigma=0.6, time=400.0)]
TOLERANCE = 1e-4  # of the norm: the same arithmetic in float32, in another order

Texts = tuple[Conditioning, Conditioning]


def test_is_the_network_itself(denoiser: Denoiser, texts: Texts, noise: Tensor) -> None:
    graphed = replace(denoiser, step=through(UNetGraph(denoiser.network)))
    for level in LEVELS:
        assert graphed(noise, level, texts[0]).equal(denoiser(noise, level, texts[0]))


def test_openvino_guides_to_the_same_latents_at_every_size(denoiser: Denoiser, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")
    from fictile.engine.openvino import OpenVINO

    graph = UNetGraph(denoiser.network)
    run = OpenVINO(torch.device("cpu"), torch.float32, 1, folder=tmp_path).ready(
        Job(network=graph, example=graph.example())
    )
    compiled = replace(denoiser, step=through(run))
    for batch, height, width, tokens in [(1, 8, 8, 5), (3, 12, 6, 9), (2, 4, 4, 1)]:
        x = torch.randn(batch, 4, height, width)
        texts = Conditioning(torch.randn(1, tokens, 6)), Conditioning(torch.randn(1, tokens, 6))
        for level in LEVELS:
            ours, theirs = (guide(one, *texts, Guidance(scale=3.0), LEVELS)(x, level) for one in (denoiser, compiled))
            assert (theirs - ours).norm() <= TOLERANCE * ours.norm()


def test_openvino_takes_what_the_time_says_of_each_picture_and_what_stands_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")
    from fictile.engine.openvino import OpenVINO

    spec = UNetSpec(
        in_channels=9, widths=(8, 16), layers=1, depth=(0, 1), heads=(2, 2), context_width=6, groups=4,
        added_width=3 + 2 * 4, added_time_width=4,
    )  # fmt: skip
    network = UNet(spec).eval().requires_grad_(requires_grad=False)
    graph = UNetGraph(network)
    run = OpenVINO(torch.device("cpu"), torch.float32, 1, folder=tmp_path).ready(
        Job(network=graph, example=graph.example())
    )
    eager = make_denoiser(network, "eps")
    compiled = replace(eager, step=through(run))
    x, beside = torch.randn(2, 4, 8, 8), torch.randn(1, 5, 8, 8)
    wanted, unwanted = (
        Conditioning(torch.randn(1, 5, 6), Added(torch.randn(1, 3), torch.tensor([[512.0, 64.0]])), beside)
        for _ in range(2)
    )
    ours, theirs = (
        guide(one, wanted, unwanted, Guidance(scale=3.0), LEVELS)(x, LEVELS[0]) for one in (eager, compiled)
    )
    assert (theirs - ours).norm() <= TOLERANCE * ours.norm()
