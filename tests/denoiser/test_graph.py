"""The U-Net's step as a function of tensors, by torch and by OpenVINO."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fictile.denoiser import Conditioning, Denoiser, Guidance, UNetGraph, guide, through
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
