"""Tiling through the model: chosen by the free memory or by name, said, and written into the recipe."""

import logging

import pytest
import torch
from tests.tiny_model import tiny_parts

from fictile import codec
from fictile.engine import choose_runtime
from fictile.errors import RequestError
from fictile.model import Model
from fictile.picture import Picture


def tiny_model() -> Model:
    return Model(tiny_parts(), choose_runtime("cpu", "float32"))


SAID = "decoded in bands of rows to save memory, exactly: at most 0.001 of the range in float32"


def test_bands_make_the_picture_that_the_whole_makes() -> None:
    model = tiny_model()
    whole = model.generate("a fox", seed=1, steps=2, tiling="off")[0]
    bands = model.generate("a fox", seed=1, steps=2, tiling="on")[0]
    assert (whole.recipe.tiling, bands.recipe.tiling) == ("off", "on")
    assert whole.recipe.notes == ()
    assert bands.recipe.notes[0].startswith(SAID)
    assert (whole.pixels - bands.pixels).abs().max() < 1e-4


def test_without_a_word_the_free_memory_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    latent = model.encode(Picture(torch.zeros(3, 64, 64)))
    assert model.codec.settled("auto", latent, torch.float32) == "off"
    monkeypatch.setattr(codec, "free_memory", lambda device: 1000)  # pyright: ignore[reportUnknownLambdaType]
    assert model.codec.settled("auto", latent, torch.float32) == "on"
    assert model.codec.settled("off", latent, torch.float32) == "off"


def test_bands_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            latent = model.encode(Picture(torch.zeros(3, 64, 64)), tiling="on")
            model.decode(latent, tiling="on")
    assert [record.message.split(" in bands")[0] for record in caplog.records] == [
        "The picture was encoded",
        "The picture was decoded",
    ]


def _computed(*_: object) -> None:
    pytest.fail("it has computed")


def test_an_unknown_tiling_is_refused_before_anything_is_computed() -> None:
    model = tiny_model()
    with pytest.raises(RequestError, match="no tiling 'maybe': choose auto, on, off"):
        model.generate("a fox", seed=1, steps=2, tiling="maybe", callback=_computed)
