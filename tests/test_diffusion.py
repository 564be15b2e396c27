"""From a recipe to latents: what is kept between pictures, by whom they are made, and how many at once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny_model import tiny_parts

from fictile.diffusion import PROMPTS
from fictile.engine import Runtime, choose_runtime
from fictile.errors import RequestError
from fictile.model import Model

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)


def test_a_prompt_is_encoded_once_and_not_kept_for_ever() -> None:
    model = Model(tiny_parts(), EXACT)
    runs: list[int] = []

    def note(*_: Any) -> None:
        runs.append(1)

    model.text.networks[0].register_forward_pre_hook(note)
    first, again = (model.generate("a fox", seed=1, steps=1)[0] for _ in range(2))
    assert len(runs) == 1
    assert first.pixels.equal(again.pixels)
    model.generate("a fox", negative="a leaf", seed=1, steps=1)
    assert len(runs) == 2
    for number in range(PROMPTS):
        model.generate(f"a house {number}", seed=1, steps=1)
    model.generate("a fox", seed=1, steps=1)
    assert len(runs) == 2 + PROMPTS + 1


def test_in_the_reference_mode_company_changes_no_bit_and_threads_hardly_any() -> None:
    reference = choose_runtime("cpu", backend="reference")
    model, other = (Model(tiny_parts(), replace(reference, threads=threads)) for threads in (1, 2))
    together = model.generate("a fox", seed=3, count=4)
    alone = [model.generate("a fox", seed=3 + index)[0] for index in range(4)]
    assert all(one.pixels.equal(single.pixels) for one, single in zip(together, alone, strict=True))
    assert (together[0].recipe.backend, together[0].recipe.threads) == ("reference", 1)
    threaded = other.generate("a fox", seed=3)[0]
    assert threaded.recipe.threads == 2
    torch.testing.assert_close(threaded.pixels, together[0].pixels, rtol=0, atol=1e-5)


def test_openvino_draws_the_same_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    eager, compiled = (
        Model(tiny_parts(), choose_runtime("cpu", "float32", backend)).generate("a fox", seed=3, count=2)
        for backend in ("eager", "openvino")
    )
    assert compiled[1].recipe.backend == "openvino"
    assert compiled[1].recipe.runtime.backend == "openvino"
    for one, other in zip(eager, compiled, strict=True):
        torch.testing.assert_close(other.latent.data, one.latent.data, rtol=0, atol=1e-4)
        torch.testing.assert_close(other.pixels, one.pixels, rtol=0, atol=1e-4)


def test_a_graph_is_made_when_the_first_picture_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Model(tiny_parts(), choose_runtime("cpu", "float32", "openvino"))
    assert not list(tmp_path.rglob("graph.xml"))


def test_a_speed_is_recorded_and_makes_nearly_the_same_picture_again() -> None:
    model = Model(tiny_parts(), EXACT)
    exact, fast = (model.generate("a fox", seed=3, speed=speed)[0] for speed in ("exact", "fast"))
    assert fast.recipe.speed == "fast"
    assert not fast.pixels.equal(exact.pixels)
    assert model.generate("a fox", seed=3, speed="fast")[0].pixels.equal(fast.pixels)
    with pytest.raises(RequestError, match="leaves out work, which the reference back end does not do"):
        Model(tiny_parts(), choose_runtime("cpu", backend="reference")).generate("a fox", speed="fast")


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(tiny_parts(), EXACT)


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


def test_groups_that_leave_out_work_share_what_was_read_but_not_what_they_remember(model: Model) -> None:
    readings: list[Any] = []

    def note(*_: Any) -> None:
        readings.append(1)

    whole = model.generate("a fox", seed=3, count=3, speed="fast")
    hook = model.denoiser.network.readers[0].to_k.register_forward_hook(note)
    grouped = model.generate("a fox", seed=3, count=3, speed="fast", group=2)
    hook.remove()
    assert len(readings) == 1
    for one, other in zip(whole, grouped, strict=True):
        torch.testing.assert_close(one.latent.data, other.latent.data, rtol=1e-4, atol=1e-4)
