"""One trip through a latent space and back."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
from tests.tiny_model import tiny_parts

import fictile
from fictile.engine import Runtime
from fictile.fidelity import psnr
from fictile.model import Model
from fictile.picture import Picture

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)


def test_a_path_or_a_picture_by_the_packaged_model_or_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(tiny_parts(), EXACT)
    monkeypatch.setattr(import_module("fictile.fidelity.roundtrip"), "load", lambda: model)  # the function hides it
    picture = Picture(torch.zeros(3, 16, 24))
    picture.save(tmp_path / "grey.png")
    trips = [fictile.roundtrip(tmp_path / "grey.png"), fictile.roundtrip(picture, model)]
    assert [(trip.reconstruction.height, trip.reconstruction.width) for trip in trips] == [(16, 24)] * 2
    assert trips[1].psnr == psnr(picture.pixels, model.decode(model.encode(picture)).pixels)
    assert trips[0].psnr == pytest.approx(trips[1].psnr, abs=0.5)  # the file holds 8 bits
