"""Tiling through the model: chosen by the free memory or by name, said, and written into the recipe."""

import logging

import pytest
import torch
from tests.tiny_model import tiny_parts

from fictile.autoencoder import tiling
from fictile.engine import choose_runtime, runtime
from fictile.errors import FictileError, RequestError
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


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(runtime, "free_memory", lambda device: free)  # pyright: ignore[reportUnknownLambdaType]


def test_without_a_word_the_free_memory_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    latent = model.encode(Picture(torch.zeros(3, 64, 64)))
    assert model.codec.decoded(latent, torch.float32)[1] == ()
    monkeypatch.setattr(tiling, "is_small", lambda *_: False)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(tiling, "untiled_memory", lambda *_, **__: 2**62)  # pyright: ignore[reportUnknownLambdaType]
    (note,) = model.codec.decoded(latent, torch.float32)[1]
    assert note.startswith(SAID)
    assert model.codec.decoded(latent, torch.float32, "off")[1] == ()


def test_what_does_not_fit_is_refused_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    latent = model.encode(Picture(torch.zeros(3, 64, 64)))
    with_free(monkeypatch, 1000)
    least = r"A picture of \d+x\d+ is decoded in \d+ MiB at least, in bands of rows, but 0 MiB can be had: close"
    with pytest.raises(RequestError, match=least):
        model.decode(latent)
    with pytest.raises(RequestError, match=least):
        model.generate("a fox", seed=1, steps=2, callback=_computed)
    with pytest.raises(RequestError, match="is encoded in"):
        model.encode(Picture(torch.zeros(3, 64, 64)))
    assert model.decode(latent, tiling="on").pixels.shape == (3, 64, 64)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 67108864 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 67108864 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
    ],
)
def test_bands_follow_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    model = tiny_model()
    latent = model.encode(Picture(torch.zeros(3, 64, 64)))
    expected = model.decode(latent).pixels

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(model.autoencoder.network, "decode", fails)
    pixels, (note,) = model.codec.decoded(latent, torch.float32)
    assert note.startswith("decoded in bands of rows because memory ran out for the whole, exactly: at most 0.001")
    assert (pixels - expected).abs().max() < 1e-4
    with pytest.raises(type(error)):
        model.decode(latent, tiling="off")
    monkeypatch.setattr(tiling, "decode", fails)
    with pytest.raises(FictileError, match="Memory ran out while the picture was decoded, even in bands of rows"):
        model.decode(latent)


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    latent = model.encode(Picture(torch.zeros(3, 64, 64)))

    def fails(*_: object) -> None:
        raise RuntimeError("expected scalar type Float but found Half")

    monkeypatch.setattr(model.autoencoder.network, "decode", fails)
    with pytest.raises(RuntimeError, match="expected scalar type"):
        model.decode(latent)


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
