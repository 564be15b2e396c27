"""The recipe in a picture's file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fictile.engine import Runtime
from fictile.errors import RequestError
from fictile.picture import read_text, save_picture
from fictile.recipe import Edit, Recipe

RECIPE = Recipe(
    prompt="a red fox",
    negative="",
    seed=1,
    index=0,
    count=1,
    size=(512, 768),
    steps=20,
    sampler="euler_ancestral",
    schedule="karras",
    guidance=7.0,
    guidance_rescale=0.0,
    guidance_interval=(0.0, 1.0),
    strength=1.0,
    init=None,
    model="emoji",
    model_hash="0123456789abcdef",
    vae_hash="fedcba9876543210",
    unet_hash=None,
    text_hash=None,
    space="emoji-01234567",
    precision="bf16",
    decode_precision="float32",
    device="cpu",
    threads=2,
    fictile="0.1.0",
    torch="2.13.0",
)


NUMBERS = st.floats(allow_nan=False)


@settings(deadline=None, max_examples=50)
@given(st.text(), st.text(), NUMBERS, NUMBERS, st.none() | st.text(), st.lists(st.text()))
def test_every_recipe_survives_json(
    prompt: str, negative: str, low: float, high: float, init: str | None, notes: list[str]
) -> None:
    recipe = replace(
        RECIPE,
        prompt=prompt,
        negative=negative,
        guidance=low,
        guidance_interval=(low, high),
        init=init,
        notes=tuple(notes),
    )
    assert Recipe.from_json(recipe.to_json()) == recipe


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=st.characters()))  # lone surrogates and NUL as well
def test_every_prompt_survives_the_file(tmp_path_factory: pytest.TempPathFactory, prompt: str) -> None:
    path = tmp_path_factory.getbasetemp() / "prompt.png"
    recipe = replace(RECIPE, prompt=prompt)
    save_picture(torch.zeros(3, 2, 2), path, recipe.text_chunks())
    assert Recipe.read(path) == recipe


def test_what_a_file_cannot_hold_is_replaced_at_once() -> None:
    assert replace(RECIPE, prompt="a\udc80fox 🦊").prompt == "a?fox 🦊"


def test_other_tools_read_the_parameters_line(tmp_path: Path) -> None:
    save_picture(torch.zeros(3, 2, 2), tmp_path / "a.png", RECIPE.text_chunks())
    assert read_text(tmp_path / "a.png")["parameters"] == (
        "a red fox\n"
        "Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 768x512, "
        "Model hash: 0123456789, Model: emoji, VAE hash: fedcba9876, RNG: CPU, Version: Fictile 0.1.0"
    )


def test_the_negative_prompt_and_the_strength_are_written_where_there_are_any() -> None:
    recipe = replace(RECIPE, negative="blue", init="abc", strength=0.75, schedule="sgm_uniform", sampler="heun")
    lines = recipe.parameters().splitlines()
    assert lines[:2] == ["a red fox", "Negative prompt: blue"]
    assert "Sampler: Heun, Schedule type: SGM Uniform," in lines[2]
    assert "Denoising strength: 0.75" in lines[2]


def test_what_is_unusual_about_reading_the_prompt_is_written_in_the_web_uis_words() -> None:
    def last(**change: Any) -> str:
        return replace(RECIPE, **change).parameters().splitlines()[-1]

    assert "Emphasis" not in last(prompt="a (red) fox", weighting="a1111")
    assert "Emphasis" not in last(weighting="no_norm")
    assert ", Emphasis: No norm," in last(prompt="a (red) fox", weighting="no_norm")
    assert ", Emphasis: None," in last(negative="[red]", weighting="none")
    assert ", Clip skip: 2," in last(clip_skip=2)
    assert "Clip skip" not in last()


def test_a_recipe_from_before_there_were_edits_is_read() -> None:
    content = json.loads(RECIPE.to_json())
    del content["edit"], content["history"]
    assert Recipe.from_json(json.dumps(content)) == RECIPE


def test_an_edit_and_what_came_before_it_survive_json() -> None:
    edit = Edit(input="abc", mask="iVBO", outpaint=(0, 8, 0, 16), only_masked=True, untouched="def")
    recipe = replace(RECIPE, edit=edit, history=(RECIPE, replace(RECIPE, edit=edit)))
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_what_would_break_the_line_is_quoted() -> None:
    last = replace(RECIPE, model='mine, "best": 1\nü').parameters().splitlines()[-1]
    assert 'Model: "mine, \\"best\\": 1\\nü", VAE hash' in last


def test_a_field_of_another_version_is_refused_kindly() -> None:
    text = json.dumps({**json.loads(RECIPE.to_json()), "varnish": "none"})
    with pytest.raises(
        RequestError, match="unknown fields varnish stand in a recipe; it was written by another version"
    ):
        Recipe.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "{}", '{"prompt": 1}'])
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Recipe.from_json(text)


def test_a_picture_without_a_recipe_is_named(tmp_path: Path) -> None:
    save_picture(torch.zeros(3, 2, 2), tmp_path / "plain.png")
    with pytest.raises(RequestError, match=r"plain.png carries no recipe"):
        Recipe.read(tmp_path / "plain.png")


def test_a_recipe_knows_its_runtime() -> None:
    assert RECIPE.runtime == Runtime(
        device=torch.device("cpu"), dtype=torch.bfloat16, decode_dtype=torch.float32, threads=2
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"device": "abacus"}, "o device 'abacus'"),
        ({"precision": "int1"}, "o precision 'int1'"),
        ({"decode_precision": "int1"}, "decoded in 'int1'"),
        ({"threads": 0}, "with 0 threads"),
    ],
)
def test_a_runtime_that_cannot_be_had_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        _ = replace(RECIPE, **change).runtime


def test_differences_are_told_in_words() -> None:
    assert RECIPE.differences(RECIPE) == ()
    assert RECIPE.differences(replace(RECIPE, threads=4, torch="2.14.0")) == (
        "threads is 4, was 2",
        "torch is 2.14.0, was 2.13.0",
    )
