"""Another autoencoder baked into a model, and the space of one that is converted alone."""

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.autoencoder.twins import random_network
from tests.checkpoint.pipelines import write_pipeline
from tests.matching.test_decide import made_up

from fictile.autoencoder import KNOWN, SD3, Normalisation, NormalisedAutoencoder, as_kl
from fictile.checkpoint import (
    Checkpoint,
    convert,
    load_checkpoint,
    load_published,
    open_autoencoder,
    open_checkpoint,
    read_autoencoder,
    save_autoencoder,
)
from fictile.checkpoint.parts import Role
from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import SPACES
from fictile.matching import SpaceDecision, open_denoiser, open_to_convert
from fictile.matching.choose import looked_at
from fictile.matching.subjects import VaeSubject


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("bake") / "model", "sd1", vocabulary=49408)


def saved(model: Path, path: Path, space: str, *, factor: float = 1.0) -> Path:
    """The model's own autoencoder with another decoder, under the name of a space."""
    own = as_kl(read_autoencoder(open_autoencoder(model)))
    with torch.no_grad():
        own.network.decoder.conv_out.weight.mul_(0.5)
    units = Normalisation.scalar(own.normalisation.scale[0] * factor, 0.0, 4)
    save_autoencoder(NormalisedAutoencoder(own.network, units, "other", SPACES[space]), path, torch.float32)
    return path


@pytest.fixture(scope="module")
def baked(model: Path) -> tuple[Path, Checkpoint]:
    """An autoencoder of the model's space, and the model with it."""
    vae = saved(model, model.parent / "vae.safetensors", "sd1")
    return vae, open_to_convert(model, vae)


@pytest.mark.parametrize("out", ["baked.safetensors", "baked"])
def test_the_new_one_is_in_the_place_of_the_old_and_the_rest_is_as_it_was(
    model: Path, baked: tuple[Path, Checkpoint], tmp_path: Path, out: str
) -> None:
    vae, checkpoint = baked
    made = convert(checkpoint, tmp_path / out)
    assert made.notes[0].startswith("Its autoencoder is vae.safetensors, baked in: ")
    roles: tuple[Role, ...] = ("unet", "text_encoder")
    before, after = (load_checkpoint(place, roles=roles) for place in (model, made.path))
    for role in roles:
        torch.testing.assert_close(
            getattr(after, role).state_dict(), getattr(before, role).state_dict(), rtol=0, atol=0
        )
    wanted, found = (read_autoencoder(open_autoencoder(place)) for place in (vae, made.path))
    torch.testing.assert_close(found.network.state_dict(), wanted.network.state_dict(), rtol=0, atol=0)
    assert (found.space, found.normalisation) == (wanted.space, wanted.normalisation)


def test_a_foreign_one_is_refused_or_forced_and_then_recorded(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vae = saved(model, tmp_path / "foreign.safetensors", "sdxl", factor=0.13025 / 0.18215)
    monkeypatch.setattr("fictile.matching.bake.looked_at", cache(looked_at))  # the two answers are of one look
    monkeypatch.setattr("fictile.matching.bake.open_denoiser", cache(open_denoiser))
    with pytest.raises(SpaceMismatch, match=r"model works in sd1 .*foreign.safetensors speaks sdxl"):
        open_to_convert(model, vae)
    with caplog.at_level(logging.WARNING):
        forced = open_to_convert(model, vae, force=True)
    assert len(caplog.records) == 1
    convert(forced, tmp_path / "forced.safetensors")
    back = load_published(tmp_path / "forced.safetensors")
    assert back.vae_forced
    assert back.vae_origin == "the model's own, foreign.safetensors, baked in: it is foreign, and was forced"


def test_one_that_lacked_it_is_whole_afterwards(model: Path, baked: tuple[Path, Checkpoint], tmp_path: Path) -> None:
    opened = open_checkpoint(model)
    without = replace(opened, parts={role: part for role, part in opened.parts.items() if role != "vae"})
    convert(without, tmp_path / "without.safetensors")
    assert open_checkpoint(tmp_path / "without.safetensors").identity.missing == ("autoencoder",)
    whole = open_to_convert(tmp_path / "without.safetensors", baked[0])
    assert (whole.identity.missing, whole.space) == ((), SPACES["sd1"])


def test_a_space_that_is_said_is_taken_unless_it_cannot_be_or_shows_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny one of random weights, whose colours say nothing: it is as its user says, if its size allows."""
    save_file(random_network(KNOWN["taesd"].spec).state_dict(), tmp_path / "tiny.safetensors")
    said = open_to_convert(tmp_path / "tiny.safetensors", space="sdxl")
    assert (said.space, said.normalisation) == (SPACES["sdxl"], KNOWN["taesdxl"].normalisation)
    with pytest.raises(RequestError, match="cannot speak 'flux1', since its network is that of sd1 or sdxl"):
        open_to_convert(tmp_path / "tiny.safetensors", space="flux1")

    def denied(vae: VaeSubject) -> SpaceDecision:
        return SpaceDecision(vae=vae.name, space=None, confidence=0.0, evidence=())

    monkeypatch.setattr("fictile.matching.bake.decide_space", denied)
    with pytest.raises(SpaceMismatch, match="does not behave as an autoencoder of sdxl"):
        open_to_convert(tmp_path / "tiny.safetensors", space="sdxl")
    assert open_to_convert(tmp_path / "tiny.safetensors", space="sdxl", force=True).space == SPACES["sdxl"]


def test_only_a_model_has_a_place_for_it(model: Path) -> None:
    with pytest.raises(RequestError, match="an autoencoder is baked into a whole model"):
        open_to_convert(model / "vae", model / "vae")
    with pytest.raises(RequestError, match="a space is said of an autoencoder alone"):
        open_to_convert(model, space="sd1")


def test_the_space_of_an_autoencoder_alone_is_told_where_it_shows(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colours of the published space stand in for weights that nobody here has."""
    opened = open_checkpoint(model / "vae")
    nameless = replace(opened, normalisation=None, space=None)

    def without(*_: object, **__: object) -> Checkpoint:
        return nameless

    def shown(_: Checkpoint) -> VaeSubject:
        return made_up(SD3)

    monkeypatch.setattr("fictile.matching.bake.open_checkpoint", without)
    monkeypatch.setattr("fictile.matching.bake.subject_of", shown)
    found = open_to_convert(tmp_path)
    assert (found.space, found.normalisation) == (SD3.space, SD3.normalisation)
