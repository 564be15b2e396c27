"""A recipe makes its picture again, or says why not: with a tiny model whose weights are random."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.tiny_model import EXACT, tiny_folder, tiny_parts
from torch import Tensor

from fictile.errors import RequestError
from fictile.loading import load
from fictile.model import Model
from fictile.picture import Picture, read_text, to_uint8
from fictile.recipe import Recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")


def test_a_replayed_picture_has_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pictures = load(folder, runtime=EXACT).generate("a red fox", seed=9, count=3, sampler="dpmpp_2m_sde")
    pictures[2].save(tmp_path / "first.png")
    recipe = Recipe.read(tmp_path / "first.png")
    again = load(folder, runtime=recipe.runtime).replay(tmp_path / "first.png")
    again.save(tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert "Sampler: DPM++ 2M SDE" in read_text(tmp_path / "first.png")["parameters"]


def test_a_recipe_that_does_not_say_how_brackets_were_read_is_replayed_as_it_was_made(folder: Path) -> None:
    """Recipes of earlier versions, for which brackets were text."""
    model = load(folder, runtime=EXACT)
    (picture,) = model.generate("a (red) fox", weighting="none", seed=1, steps=1)
    assert (picture.recipe.weighting, picture.recipe.clip_skip) == ("none", 1)
    content = json.loads(picture.recipe.to_json())
    del content["weighting"], content["clip_skip"]
    assert torch.equal(model.replay(Recipe.from_json(json.dumps(content))).pixels, picture.pixels)
    (now,) = model.generate("a (red) fox", seed=1, steps=1)
    assert now.recipe.weighting == "a1111"
    assert torch.equal(model.replay(now.recipe).pixels, now.pixels)
    assert not torch.equal(now.latent.data, picture.latent.data)


def test_a_replay_in_another_precision_says_what_differs(folder: Path) -> None:
    (picture,) = load(folder, runtime=EXACT).generate("a red fox", seed=9, steps=2)
    low = replace(EXACT, dtype=torch.bfloat16)
    again = load(folder, runtime=low).replay(picture.recipe)
    assert picture.recipe.differences(again.recipe) == ("precision is bf16, was float32",)
    assert (to_uint8(picture.pixels) != to_uint8(again.pixels)).any()


def test_a_replay_needs_the_same_picture_to_start_from(folder: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.radial_gradient("L").resize((30, 21)).convert("RGB").save(photo)
    model = load(folder, runtime=EXACT)
    (picture,) = model.generate("a red fox", init=photo, strength=0.5, seed=2, steps=2)
    assert torch.equal(model.replay(picture.recipe, init=photo).pixels, picture.pixels)
    with pytest.raises(RequestError, match=r"started from a picture, and none was given"):
        model.replay(picture.recipe)
    with pytest.raises(RequestError, match="started from another picture"):
        model.replay(picture.recipe, init=Picture(torch.zeros(3, 21, 30)))
    with pytest.raises(RequestError, match="started from noise alone, and a picture was given"):
        model.replay(model.generate("a red fox", steps=1)[0].recipe, init=photo)


def test_a_replay_needs_the_same_model(folder: Path) -> None:
    model = Model(tiny_parts(), EXACT)
    (picture,) = load(folder, runtime=EXACT).generate("a red fox", steps=1)
    needed = picture.recipe.model_hash or ""
    with pytest.raises(RequestError, match=f"needs the model tiny with hash {needed[:10]}, but tiny with hash none"):
        model.replay(picture.recipe)
    with pytest.raises(RequestError, match="with hash none"):
        model.replay(model.generate("a red fox", steps=1)[0].recipe)
    with pytest.raises(RequestError, match="changed by hand"):
        load(folder, runtime=EXACT).replay(replace(picture.recipe, index=3))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({"sampler": "eulr"}, "Sampler 'eulr' is unknown"),
        ({"schedule": "caras"}, "Step schedule 'caras' is unknown"),
        ({"guidance_rescale": 2.0}, "Guidance rescale is 2.0"),
        ({"guidance_interval": (1.0, 0.0)}, "The guidance interval is 1.0 to 0.0"),
        ({"strength": float("nan")}, "Strength nan"),
        ({"strength": float("inf")}, "Strength inf"),
        ({"steps": 10**20}, "steps were asked for"),
        ({"weighting": ""}, "Weighting '' is unknown"),
        ({"clip_skip": 99}, "Clip skip 99 is out of range"),
    ],
)
def test_an_edited_recipe_is_refused_before_anything_is_computed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, edit: dict[str, Any], sentence: str
) -> None:
    model = load(folder, runtime=EXACT)
    (picture,) = model.generate("a red fox", steps=1)

    def fail(*_: object) -> None:
        pytest.fail("something was computed")

    for network in (model.denoiser.network, *model.text.networks):
        monkeypatch.setattr(network, "forward", fail)
    with pytest.raises(RequestError, match=sentence):
        model.replay(replace(picture.recipe, **edit))


def test_of_pictures_made_together_only_the_one_that_is_replayed_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(folder, runtime=EXACT)
    pictures = model.generate("a red fox", seed=9, count=3)
    decoded: list[Tensor] = []
    decode = model.autoencoder.network.decode

    def counting(latent: Tensor) -> Tensor:
        decoded.append(latent)
        return decode(latent)

    monkeypatch.setattr(model.autoencoder.network, "decode", counting)
    assert torch.equal(model.replay(pictures[1].recipe).pixels, pictures[1].pixels)
    assert len(decoded) == 1
