"""The shelf of latents that wait to be decoded."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tests.tiny_model import tiny_parts

from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.model import Model
from fictile.recipe import Recipe
from fictile.unfinished import KEPT, RUN, Sampled, Shelf


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(tiny_parts())


def run(model: Model, count: int = 1) -> tuple[Latent, Recipe]:
    """What a run hands over before it decodes."""
    kept: list[tuple[Latent, Recipe]] = []
    model.generate("a fox", seed=3, count=count, steps=1, sampled=lambda latent, recipe: kept.append((latent, recipe)))
    [run] = kept
    return run


def test_a_run_is_finished_from_its_file(model: Model, tmp_path: Path) -> None:
    latent, recipe = run(model, 2)
    path = Shelf(tmp_path).keep(latent, recipe, model="m", pictures=[Path("a.png"), Path("b.png")])
    assert path
    found = Sampled.read(path)
    assert (found.recipe, found.model) == (recipe, "m")
    assert found.pictures == (Path.cwd() / "a.png", Path.cwd() / "b.png")
    assert found.recipe
    finished, whole = model.finish(found.latent, found.recipe), model.generate("a fox", seed=3, count=2, steps=1)
    for one, other in zip(finished, whole, strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert one.recipe == other.recipe


def test_the_file_is_read_as_a_latent_and_for_its_recipe(model: Model, tmp_path: Path) -> None:
    """docs/latents.md describes it: an older Fictile reads it, and ignores what it does not know."""
    latent, recipe = run(model)
    path = Shelf(tmp_path).keep(latent, recipe, model=None, pictures=[Path("a.png")])
    assert path
    assert torch.equal(Latent.load(path).data, latent.data)
    assert Recipe.read(path) == recipe
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata.keys() == {"fictile", "recipe", "run"}
    assert json.loads(metadata["fictile"])["version"] == 1
    assert json.loads(metadata["run"]) == {
        "model": None,
        "vae": None,
        "pictures": [str(Path.cwd() / "a.png")],
        "start": None,
    }


def test_nothing_is_overwritten_and_the_oldest_go(model: Model, tmp_path: Path) -> None:
    latent, recipe = run(model)
    shelf = Shelf(tmp_path / "new" / "latents")
    other = shelf.folder / "mine.txt"
    paths = [shelf.keep(latent, recipe, model=None, pictures=[]) for _ in range(KEPT + 2)]
    other.touch()
    paths += [shelf.keep(latent, recipe, model=None, pictures=[])]
    assert len(set(paths)) == KEPT + 3
    assert sorted(shelf.folder.iterdir()) == [*paths[3:], other]
    assert shelf.last() == paths[-1]
    if os.name == "posix":
        assert shelf.folder.stat().st_mode & 0o077 == 0


def test_only_what_lies_on_the_shelf_is_removed(model: Model, tmp_path: Path) -> None:
    latent, recipe = run(model)
    shelf, mine = Shelf(tmp_path / "shelf"), tmp_path / "mine.latent.safetensors"
    latent.save(mine)
    shelf.remove(mine)
    assert mine.exists()
    path = shelf.keep(latent, recipe, model=None, pictures=[])
    assert path
    shelf.remove(path)
    shelf.remove(path)
    with pytest.raises(RequestError, match="No run is unfinished"):
        shelf.last()


@pytest.mark.parametrize("text", ["{", "[]", '{"pictures": 3}', '{"pictures": [3]}'])
def test_a_run_that_was_changed_by_hand_is_refused(model: Model, tmp_path: Path, text: str) -> None:
    latent, _ = run(model)
    latent.save(tmp_path / "a.latent.safetensors", {RUN: text})
    with pytest.raises(RequestError, match="changed"):
        Sampled.read(tmp_path / "a.latent.safetensors")
