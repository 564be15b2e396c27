"""Which autoencoder a model gets, and that a foreign one is refused before anything is drawn."""

import gc
import logging
from dataclasses import replace
from pathlib import Path
from weakref import ref

import pytest
import torch
from tests.checkpoint.pipelines import write_pipeline
from tests.tiny_model import tiny_folder

import fictile
from fictile.autoencoder import KL, AnyAutoencoder, Normalisation, NormalisedAutoencoder, as_kl
from fictile.checkpoint import (
    Checkpoint,
    Parts,
    convert,
    load_autoencoder,
    open_autoencoder,
    open_checkpoint,
    open_model,
    read_autoencoder,
    save_autoencoder,
)
from fictile.checkpoint.folder import BUNDLED
from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import LatentSpace
from fictile.loading import load_codec
from fictile.made import GeneratedPicture
from fictile.matching.opened import subject_of
from fictile.matching.subjects import VaeSubject
from fictile.recipe import Recipe


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("choose") / "tiny")


@pytest.fixture
def tuned(tiny: Path, tmp_path: Path) -> Path:
    """The tiny model's autoencoder with another decoder: the same space."""
    own = as_kl(load_autoencoder(tiny / "vae.safetensors"))
    with torch.no_grad():
        own.network.decoder.conv_out.weight.mul_(0.5)
    save_autoencoder(own, tmp_path / "tuned.safetensors")
    return tmp_path / "tuned.safetensors"


@pytest.fixture
def foreign(tmp_path: Path, tiny: Path) -> Path:
    """An autoencoder of the same sizes that says it speaks another space."""
    own = as_kl(load_autoencoder(tiny / "vae.safetensors"))
    torch.manual_seed(3)
    space = replace(own.space, id="elsewhere")
    other = NormalisedAutoencoder(KL(own.network.spec), own.normalisation, "other", space)
    save_autoencoder(other, tmp_path / "foreign.safetensors")
    return tmp_path / "foreign.safetensors"


def test_a_model_says_that_its_autoencoder_is_its_own(tiny: Path) -> None:
    assert fictile.load(tiny).vae_origin == BUNDLED


def test_a_tuned_decoder_is_taken_and_recorded(tiny: Path, tuned: Path) -> None:
    plain, model = fictile.load(tiny, device="cpu"), fictile.load(tiny, vae=tuned, device="cpu")
    made, as_before = (one.generate("a red fox", seed=1, steps=2)[0] for one in (model, plain))
    assert torch.equal(made.latent.data, as_before.latent.data)
    assert not torch.equal(made.pixels, as_before.pixels)
    recipe = made.recipe
    assert recipe.vae_origin == f"{tuned}, as asked: it belongs"
    assert (recipe.vae_forced, recipe.model_hash) == (False, as_before.recipe.model_hash)
    assert recipe.vae_hash != as_before.recipe.vae_hash
    assert "VAE: tuned.safetensors, " in recipe.parameters()
    again = fictile.load(tiny, vae=tuned, runtime=recipe.runtime).replay(recipe)
    assert isinstance(again, GeneratedPicture)
    assert torch.equal(again.pixels, made.pixels)
    with pytest.raises(RequestError, match=r"needs the autoencoder with hash .*tuned.safetensors.* name it with --vae"):
        plain.replay(recipe)


def test_a_foreign_one_is_refused_unless_it_is_forced(
    tiny: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("fictile.matching.choose.open_model", None)  # the model is not even put together
        with pytest.raises(
            SpaceMismatch, match=r"tiny works in .*foreign.safetensors speaks another space; give an autoencoder"
        ):
            fictile.load(tiny, vae=foreign)
    with caplog.at_level(logging.WARNING):
        model = fictile.load(tiny, vae=foreign, force=True)
    assert len(caplog.records) == 1
    recipe = model.generate("a red fox", seed=1, steps=2)[0].recipe
    assert recipe.vae_forced
    assert "it is foreign, and was forced" in recipe.vae_origin
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_force_cannot_make_other_sizes_fit(tiny: Path, tmp_path: Path) -> None:
    odd = NormalisedAutoencoder(
        KL(replace(as_kl(load_autoencoder(tiny / "vae.safetensors")).network.spec, channels=8)),
        Normalisation.identity(8),
        "odd",
        LatentSpace(id="odd", channels=8, factor=4),
    )
    save_autoencoder(odd, tmp_path / "odd.safetensors")
    with pytest.raises(SpaceMismatch, match="Force cannot help"):
        fictile.load(tiny, vae=tmp_path / "odd.safetensors", force=True)


def test_recipes_from_before_are_of_models_own_autoencoders(tiny: Path) -> None:
    recipe = fictile.load(tiny).generate("a red fox", seed=1, steps=1)[0].recipe
    old = recipe.to_json().replace(f'"vae_origin": "{BUNDLED}", "vae_forced": false, ', "")
    assert "vae_origin" not in old
    assert Recipe.from_json(old) == recipe


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion without an autoencoder, one that says it is sd1's, and one that says it is another's."""
    root = tmp_path_factory.mktemp("loose")
    whole = write_pipeline(root / "whole", "sd1", vocabulary=49408)
    (root / "folder").mkdir()
    convert(open_checkpoint(whole), root / "whole.safetensors")
    own = open_checkpoint(root / "whole.safetensors")
    without = {role: part for role, part in own.parts.items() if role != "vae"}
    convert(replace(own, parts=without), root / "folder" / "model.safetensors")
    opened = open_autoencoder(root / "whole.safetensors")
    save_autoencoder(read_autoencoder(opened), root / "folder" / "b-right.safetensors")
    other = read_autoencoder(
        opened, Normalisation.scalar(0.13025, 0.0, 4), LatentSpace(id="sdxl", channels=4, factor=8)
    )
    save_autoencoder(other, root / "folder" / "a-wrong.safetensors")
    return root / "folder"


def test_of_a_folder_the_one_that_belongs_is_taken(loose: Path) -> None:
    model = fictile.load(loose)
    assert "b-right.safetensors, of 2 beside model.safetensors" in model.vae_origin
    assert model.space.id == "sd1"


def test_what_is_not_taken_is_gone_before_the_model_is_read(loose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[ref[object]] = []
    held: list[list[bool]] = []

    def looked(opened: Checkpoint) -> VaeSubject:
        subject = subject_of(opened)
        looked_at.append(ref(subject.network))
        return subject

    def read(name: Path, autoencoder: AnyAutoencoder, *, dtype: torch.dtype) -> Parts:
        gc.collect()
        held.append([one() is not None for one in looked_at])
        return open_model(name, autoencoder, dtype=dtype)

    monkeypatch.setattr("fictile.matching.choose.subject_of", looked)
    monkeypatch.setattr("fictile.matching.choose.open_model", read)
    fictile.load(loose)
    assert held == [[False, True]]  # a-wrong and b-right


def test_a_folder_without_one_that_belongs_is_refused(loose: Path, tmp_path: Path) -> None:
    for name in ("model", "a-wrong"):
        (tmp_path / f"{name}.safetensors").symlink_to(loose / f"{name}.safetensors")
    with pytest.raises(RequestError, match=r"none surely belongs \(a-wrong.safetensors\); name one with --vae"):
        fictile.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(RequestError, match=r"has to have a denoiser \(these have: none\)"):
        fictile.load(tmp_path)


def test_an_autoencoder_works_alone(tuned: Path, tiny: Path) -> None:
    codec = load_codec(tuned, device="cpu")
    latent = codec.encode(fictile.Picture(torch.rand(3, 24, 40) * 2 - 1))
    assert latent.space == fictile.load(tiny).space
    assert codec.decode(latent).pixels.shape == (3, 24, 40)
