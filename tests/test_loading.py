"""A model is read in the precision that it runs in, and held once."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tiny_model import tiny_folder, tiny_parts

from fictile.checkpoint import load_model
from fictile.checkpoint.files import content_hash
from fictile.checkpoint.folder import hash_parts
from fictile.engine import Runtime
from fictile.errors import RequestError
from fictile.loading import load
from fictile.model import Model

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")


def test_reading_in_a_precision_is_reading_exactly_and_going_over(folder: Path) -> None:
    half = replace(EXACT, dtype=torch.bfloat16)
    for runtime in (EXACT, half):
        models = load(folder, runtime=runtime), Model(load_model(folder), runtime)
        read, copied = (model.generate("a fox", seed=3)[0].pixels for model in models)
        assert torch.equal(read, copied)


def test_parts_that_are_given_away_are_moved_and_not_copied() -> None:
    half = replace(EXACT, dtype=torch.bfloat16)
    for runtime in (EXACT, half):
        parts = tiny_parts()
        model = Model(parts, runtime, own=True)
        assert model.denoiser.network is parts.denoiser.network
        assert model.text.networks == parts.text.networks
        assert model.autoencoder.network is parts.autoencoder.network
        assert next(parts.denoiser.network.parameters()).dtype == runtime.dtype
        (picture,), (copied,) = (one.generate("a fox", seed=3) for one in (model, Model(tiny_parts(), runtime)))
        assert torch.equal(picture.pixels, copied.pixels)


def test_a_loaded_autoencoder_can_still_be_widened_exactly(folder: Path) -> None:
    """What runs in bf16 is a copy beside the exact one, which an overflow goes back to."""
    model = load(folder, runtime=replace(EXACT, decode_dtype=torch.bfloat16))
    latent = load(folder, runtime=EXACT).generate("a fox", seed=3)[0].latent
    assert next(model.autoencoder.network.parameters()).dtype == torch.bfloat16
    exact, _ = model.codec.decoded(latent, torch.float32)
    assert torch.equal(exact, load(folder, runtime=EXACT).decode(latent).pixels)


@pytest.mark.parametrize("backend", ["eager", "reference"])
def test_loaded_for_one_run_it_makes_the_same_pictures_and_lets_its_networks_go(folder: Path, backend: str) -> None:
    def loaded(*, once: bool) -> Model:
        return load(folder, device="cpu", precision="float32", backend=backend, once=once)

    kept, once = loaded(once=False), loaded(once=True)
    alive = list[set[str]]()

    def where(*_: object) -> None:
        alive.append({one.device.type for network in once.text.networks for one in network.parameters()})

    expected = kept.generate("a fox", seed=1, steps=2, count=2)
    made = once.generate("a fox", seed=1, steps=2, count=2, callback=where)
    assert all(torch.equal(one.pixels, other.pixels) for one, other in zip(made, expected, strict=True))
    assert {frozenset(devices) for devices in alive} == {frozenset({"meta"})}
    assert {one.device.type for one in once.denoiser.network.parameters()} == {"meta"}
    assert torch.equal(once.decode(made[0].latent).pixels, kept.decode(expected[0].latent).pixels)
    with pytest.raises(RequestError, match="was loaded for one run, and that is over; load it again"):
        once.generate("a fox", seed=1, steps=2)


def test_each_file_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = list[str]()

    def noted(path: str | Path) -> str:
        hashed.append(Path(path).name)
        return content_hash(path)

    for module in ("folder", "native"):
        monkeypatch.setattr(f"fictile.checkpoint.{module}.content_hash", noted)
    hashes = load_model(folder).hashes
    assert sorted(hashed) == sorted(set(hashed))
    assert hashes is not None
    assert hashes == hash_parts(folder)
