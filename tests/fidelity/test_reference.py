"""How far a picture is from the reference mode's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fictile.engine import choose_runtime
from fictile.errors import RequestError
from fictile.fidelity.reference import distance_to_reference, reference_runtime, seconds_for_a_picture
from fictile.loading import load
from fictile.model import Model
from fictile.picture import load_picture, save_picture


@pytest.fixture
def packaged() -> Model:
    return load(runtime=reference_runtime())


def test_the_references_own_picture_is_equal_and_another_precision_is_a_little_off(
    packaged: Model, tmp_path: Path
) -> None:
    (own,) = packaged.generate("a fox", seed=3, steps=2)
    own.save(tmp_path / "own.png")
    found = distance_to_reference(tmp_path / "own.png")
    assert (found.largest, found.psnr, found.recipe.seed) == (0, float("inf"), 3)

    *_, other = load(runtime=choose_runtime("cpu", "bf16")).generate("a fox", seed=2, steps=2, count=2)
    other.save(tmp_path / "other.png")
    found = distance_to_reference(tmp_path / "other.png")
    assert found.recipe.precision == "bf16"
    assert found.largest >= 1
    assert 25 < found.psnr < 70


def test_a_picture_without_recipe_is_refused(tmp_path: Path) -> None:
    save_picture(torch.zeros(3, 8, 8), tmp_path / "grey.png")
    assert load_picture(tmp_path / "grey.png").width == 8
    with pytest.raises(RequestError, match="carries no recipe"):
        distance_to_reference(tmp_path / "grey.png")


def test_a_picture_is_timed(packaged: Model) -> None:
    packaged.defaults = replace(packaged.defaults, steps=1)
    assert seconds_for_a_picture(packaged) > 0
