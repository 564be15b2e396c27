"""An autoencoder that overflows in float16 answers in a wider precision, and is remembered for it."""

import json
from pathlib import Path

import pytest
import torch
from tests.autoencoder.twins import picture, random_network, relative_error

from fictile.autoencoder import (
    KL,
    AnyAutoencoder,
    KLSpec,
    Normalisation,
    NormalisedAutoencoder,
    PrecisionLadder,
    PrecisionMemory,
)
from fictile.errors import FictileError, SpaceMismatch
from fictile.latent import Latent, LatentSpace

SPEC = KLSpec(widths=(8, 16), layers=1, groups=4)
CPU = torch.device("cpu")
HALF, BRAIN, FULL = torch.float16, torch.bfloat16, torch.float32


def autoencoder(scale: float = 1.0) -> AnyAutoencoder:
    """One whose activations are `scale` times as large and whose answers are nearly the same: the norm after the first
    convolution divides by their size again. So do SDXL's weights.
    """
    network: KL = random_network(SPEC)
    with torch.no_grad():
        for half in (network.encoder, network.decoder):
            half.get_parameter("conv_in.weight").mul_(scale)
            half.get_parameter("conv_in.bias").mul_(scale)
    return NormalisedAutoencoder(network, Normalisation.scalar(0.5, 0.1, 4), "test", content_hash="f00d")


LARGE = 1e6  # times an activation of about 1: beyond float16, far within bfloat16


def test_float16_is_enough_where_it_is() -> None:
    ladder = PrecisionLadder(autoencoder(), CPU)
    posterior, used = ladder.encode(picture(16, 16), HALF)
    pixels, decoded_in = ladder.decode(posterior.mode(), HALF)
    assert (used, decoded_in) == (HALF, HALF)
    assert pixels.isfinite().all()


def test_an_overflow_is_repeated_one_step_wider() -> None:
    exact = autoencoder(LARGE)
    latent = exact.encode(picture(16, 16)).mode()
    ladder = PrecisionLadder(exact, CPU)
    assert not ladder.at(HALF).encode(picture(16, 16)).mean.isfinite().all()
    posterior, used = ladder.encode(picture(16, 16), HALF)
    assert used == BRAIN
    assert relative_error(posterior.mean, latent.data) < 0.05
    pixels, used = ladder.decode(latent, HALF)
    assert used == BRAIN
    assert relative_error(pixels, exact.decode(latent)) < 0.05
    assert ladder.decode(latent, FULL)[1] == FULL


def test_what_overflows_in_float32_is_a_failure_and_no_picture() -> None:
    ladder = PrecisionLadder(autoencoder(float("inf")), CPU)
    with pytest.raises(FictileError, match=r"could not be encoded: .* of test overflows even in float32; check"):
        ladder.encode(picture(16, 16), HALF)
    latent = Latent(torch.zeros(1, 4, 8, 8), ladder.space)
    with pytest.raises(FictileError, match="could not be decoded"):
        ladder.decode(latent, HALF)


def test_a_latent_of_another_space_is_refused_as_ever() -> None:
    other = LatentSpace(id="other", channels=4, factor=2)
    with pytest.raises(SpaceMismatch):
        PrecisionLadder(autoencoder(), CPU).decode(Latent(torch.zeros(1, 4, 8, 8), other), HALF)


def test_the_given_autoencoder_is_left_alone() -> None:
    exact = autoencoder(LARGE)
    PrecisionLadder(exact, CPU).encode(picture(16, 16), HALF)
    assert {parameter.dtype for parameter in exact.network.parameters()} == {FULL}


def test_a_memory_lasts(tmp_path: Path) -> None:
    memory = PrecisionMemory(tmp_path / "cache" / "precision.json")
    assert memory.start("f00d", HALF) == HALF
    memory.remember("f00d", BRAIN)
    again = PrecisionMemory(memory.path)
    assert again.start("f00d", HALF) == BRAIN
    assert again.start("f00d", FULL) == FULL  # never narrower than was asked
    assert again.start("beef", HALF) == HALF
    again.remember("f00d", FULL)
    again.remember("f00d", BRAIN)  # what was needed once may be needed again
    assert memory.start("f00d", HALF) == FULL
    assert json.loads(memory.path.read_text()) == {"f00d": "float32"}


def test_what_was_never_a_file_is_not_remembered(tmp_path: Path) -> None:
    memory = PrecisionMemory(tmp_path / "precision.json")
    memory.remember(None, FULL)
    assert memory.start(None, HALF) == HALF
    assert not memory.path.exists()


@pytest.mark.parametrize("content", ["", "no JSON", "[1, 2]", '{"f00d": 16}', '{"f00d": "int1"}', '{"f00d": null}'])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    memory = PrecisionMemory(tmp_path / "precision.json")
    memory.path.write_text(content)
    assert memory.start("f00d", HALF) == HALF
    memory.remember("f00d", BRAIN)
    assert memory.start("f00d", HALF) == BRAIN


def test_a_memory_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = PrecisionMemory(tmp_path / "file" / "precision.json")
    memory.remember("f00d", BRAIN)
    assert memory.start("f00d", HALF) == HALF


def test_it_lies_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert PrecisionMemory().path == tmp_path / "fictile" / "precision.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert PrecisionMemory().path == tmp_path / ".cache" / "fictile" / "precision.json"
