"""Pictures that are denoised a few at a time."""

from dataclasses import replace

import pytest
import torch
from tests.tiny_model import tiny_parts

from fictile.engine import choose_runtime
from fictile.errors import RequestError
from fictile.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(tiny_parts(), choose_runtime("cpu", "float32"))


@pytest.mark.parametrize("group", [1, 2, 3, 5])
def test_groups_make_the_pictures_of_one_batch(model: Model, group: int) -> None:
    whole = model.generate("a fox", seed=3, count=3)
    grouped = model.generate("a fox", seed=3, count=3, group=group)
    for one, other in zip(whole, grouped, strict=True):
        torch.testing.assert_close(one.latent.data, other.latent.data, rtol=1e-4, atol=1e-4)  # rounding alone
        assert replace(other.recipe, group=None) == one.recipe


def test_a_group_is_in_the_recipe_and_replayed(model: Model) -> None:
    made = model.generate("a fox", seed=3, count=3, group=2)[2]
    assert made.recipe.group == 2


def test_an_empty_group_is_refused(model: Model) -> None:
    with pytest.raises(RequestError, match="make it 1 or more"):
        model.generate("a fox", group=0)


def test_owned_networks_are_moved_and_copies_are_not() -> None:
    parts = tiny_parts()
    runtime = choose_runtime("cpu", "float32")
    copied, owned = Model(parts, runtime), Model(parts, runtime, own=True)
    assert copied.denoiser.network is not parts.denoiser.network
    assert owned.denoiser.network is parts.denoiser.network
    assert owned.autoencoder.network is parts.autoencoder.network
    pairs = [model.generate("a fox", seed=1)[0].pixels for model in (copied, owned)]
    assert torch.equal(*pairs)
