"""From a recipe to latents: what is kept between pictures, and by whom they are made."""

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


def test_a_speed_is_recorded_and_makes_nearly_the_same_picture_again() -> None:
    model = Model(tiny_parts(), EXACT)
    exact, fast = (model.generate("a fox", seed=3, speed=speed)[0] for speed in ("exact", "fast"))
    assert fast.recipe.speed == "fast"
    assert not fast.pixels.equal(exact.pixels)
    assert model.generate("a fox", seed=3, speed="fast")[0].pixels.equal(fast.pixels)
    with pytest.raises(RequestError, match="leaves out work, which the reference back end does not do"):
        Model(tiny_parts(), choose_runtime("cpu", backend="reference")).generate("a fox", speed="fast")
