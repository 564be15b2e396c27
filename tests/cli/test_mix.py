"""`fictile mix` and what starts from a latent."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.cli.command_line import Run

from fictile.latent import Latent, mix
from fictile.loading import load
from fictile.made import init_hash
from fictile.picture import load_picture, read_text, save_picture
from fictile.recipe import Recipe


@pytest.fixture
def other(here: Path) -> Path:
    """Of the photo's size."""
    Image.effect_noise((40, 24), 80).convert("RGB").save("other.png")
    return Path("other.png")


def test_mix_decodes_the_mix_of_two_latents(run: Run, tiny: Path, photo: Path, other: Path) -> None:
    outcome = run("mix", photo, other, "--weight", 0.3, "-m", tiny, "-o", "mix.png", "--json")
    document = json.loads(outcome.stdout)
    model = load(tiny)
    assert document == {"path": "mix.png", "how": "blend", "space": model.space.id, "width": 40, "height": 24}
    expected = model.decode(mix.blend(model.encode(photo), model.encode(other), 0.3))
    save_picture(expected.pixels, "expected.png")
    assert torch.equal(load_picture("mix.png").pixels, load_picture("expected.png").pixels)


def test_mix_takes_and_writes_latents(run: Run, tiny: Path, photo: Path, other: Path) -> None:
    run("encode", photo, "-m", tiny)
    assert (
        run("mix", "photo.latent.safetensors", other, "--how", "lerp", "-m", tiny, "-o", "mix.latent.safetensors").code
        == 0
    )
    a, b = Latent.load("photo.latent.safetensors"), load(tiny).encode(other)
    torch.testing.assert_close(Latent.load("mix.latent.safetensors").data, mix.lerp(a, b).data)


@pytest.mark.parametrize(
    "choice",
    [
        ("--how", "slerp"),
        ("--how", "transfer"),
        ("--how", "exchange", "--radius", 8),
        ("--how", "composite", "--mask", "mask.png", "--feather", 12),
        ("--how", "place", "--at", "0,0"),
    ],
)
def test_every_way_is_there(run: Run, tiny: Path, photo: Path, other: Path, choice: tuple[object, ...]) -> None:
    Image.linear_gradient("L").resize((40, 24)).save("mask.png")
    assert run("mix", photo, other, *choice, "-m", tiny).code == 0
    assert load_picture("photo-other.png").pixels.shape == (3, 24, 40)


def test_a_refined_mix_is_made_again_from_its_latent(run: Run, tiny: Path, photo: Path, other: Path) -> None:
    refined = ("--refine", 0.5, "--prompt", "a fox", "--seed", 3, "--keep-latent")
    assert run("mix", photo, other, "-m", tiny, *refined, "-o", "one.png").code == 0
    assert Path("one.latent.safetensors").is_file()
    recipe = Recipe.read("one.png")
    assert (recipe.prompt, recipe.strength, recipe.size) == ("a fox", 0.5, (24, 40))
    run("mix", photo, other, "-m", tiny, "-o", "mix.latent.safetensors")
    generated = ("generate", "a fox", "--from", "mix.latent.safetensors", "--strength", 0.5, "--seed", 3)
    assert run(*generated, "-m", tiny, "-o", "same.png").code == 0
    assert Path("same.png").read_bytes() == Path("one.png").read_bytes()
    assert run("replay", "one.png", "--from", "mix.latent.safetensors", "-m", tiny, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("one.png").read_bytes()
    assert run("replay", "one.png", "--from", photo, "-m", tiny, "-o", "no.png").code == 2


@pytest.mark.parametrize("refined", [(), ("--refine", 0.5, "--prompt", "a fox", "--seed", 3)])
def test_a_mix_says_what_it_was_made_of_and_is_made_again_of_that(
    run: Run, tiny: Path, photo: Path, other: Path, refined: tuple[object, ...]
) -> None:
    Image.linear_gradient("L").resize((40, 24)).save("mask.png")
    choice = ("--how", "composite", "--mask", "mask.png", "--feather", 12)
    assert run("mix", photo, other, *choice, *refined, "-m", tiny, "-o", "mix.png", "--keep-latent").code == 0
    made = Recipe.read("mix.png").mix
    assert made is not None
    assert (made.how, made.weight, made.feather) == ("composite", None, 12)
    assert (made.first.name, made.second.name) == ("photo.png", "other.png")
    assert made.second.sha256 == init_hash(load_picture(other))
    shown = json.loads(run("inspect", "mix.png", "--json").stdout)["about"]["fictile"]["mix"]
    assert shown["first"] == {"name": "photo.png", "sha256": made.first.sha256}
    assert Recipe.read("mix.latent.safetensors") == Recipe.read("mix.png")

    again = run("replay", "mix.png", "--from", photo, "--from", other, "-m", tiny, "-o", "again.png")
    assert again.code == 0, again.stderr
    assert Path("again.png").read_bytes() == Path("mix.png").read_bytes()
    swapped = run("replay", "mix.png", "--from", other, "--from", photo, "-m", tiny, "-o", "no.png")
    assert "another than photo.png was given" in swapped.sentence
    assert (
        "a mix of photo.png and other.png (composite)" in run("replay", "mix.png", "-m", tiny, "-o", "no.png").sentence
    )
    assert "given 3 times" in run("replay", "mix.png", *("--from", photo) * 3, "-m", tiny, "-o", "no.png").sentence
    assert not Path("no.png").exists()


def test_what_is_not_said_is_recorded_as_it_was_done(run: Run, tiny: Path, photo: Path, other: Path) -> None:
    run("mix", photo, other, "-m", tiny, "-o", "mix.png")
    run("mix", photo, other, "-m", tiny, "-o", "other-seed.png", "--seed", 9)
    blend = Recipe.read("mix.png").mix
    assert blend is not None
    assert (blend.how, blend.weight, blend.radius) == ("blend", 0.5, None)
    assert Path("mix.png").read_bytes() == Path("other-seed.png").read_bytes()


def test_a_picture_started_from_the_latent_of_a_mix_knows_it(run: Run, tiny: Path, photo: Path, other: Path) -> None:
    run("mix", photo, other, "-m", tiny, "-o", "mix.latent.safetensors")
    assert "photo.png" in run("inspect", "mix.latent.safetensors").stdout
    start = ("--from", "mix.latent.safetensors", "--strength", 0.5, "-m", tiny)
    assert run("generate", "a fox", *start, "-o", "fox.png").code == 0
    mix = Recipe.read("fox.png").mix
    assert mix is not None
    assert mix.first.name == "photo.png"
    run("mix", photo, other, "-m", tiny, "--strip", "-o", "bare.latent.safetensors")
    assert b"photo.png" not in Path("bare.latent.safetensors").read_bytes()


@pytest.mark.parametrize("refined", [(), ("--refine", 0.5, "--prompt", "a fox")])
def test_a_stripped_mix_says_nothing_of_its_sources(
    run: Run, tiny: Path, photo: Path, other: Path, refined: tuple[object, ...]
) -> None:
    run("mix", photo, other, "-m", tiny, "--strip", *refined, "-o", "mix.png")
    assert read_text("mix.png") == {}


def test_two_are_wanted_by_mixes_alone(run: Run, tiny: Path, photo: Path) -> None:
    run("generate", "a fox", "-m", tiny, "-o", "fox.png")
    two = run("replay", "fox.png", "--from", photo, "--from", photo, "-m", tiny, "-o", "no.png")
    assert "did not start from a mix" in two.sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("photo.png", "small.png"), "40x24 pixels met one of 16x16"),
        (("photo.png", "foreign.latent.safetensors"), "lives in elsewhere"),
        (("photo.png", "comfy.latent"), "4 channels and does not say its space"),
        (("photo.png", "photo.png", "--how", "stir"), "no way to mix called 'stir'"),
        (("photo.png", "photo.png", "--how", "composite"), "composite needs to know the mask"),
        (
            ("photo.png", "photo.png", "--how", "composite", "--mask", "small.png"),
            "mask is 16x16 and the pictures are 40x24",
        ),
        (("photo.png", "photo.png", "--how", "place", "--at", "left"), "'left' is no place"),
        (("photo.png", "photo.png", "--weight", 2), "weight is 2.0"),
        (("photo.png", "photo.png", "--feather", 2), "blend takes no feather"),
        (("photo.png", "photo.png", "--refine", 0.5), "--refine and --prompt"),
        (("photo.png", "photo.png", "--keep-latent", "-o", "mix.latent.safetensors"), "is a latent"),
        (("photo.png", "absent.png"), "absent.png"),
    ],
)
def test_what_cannot_be_mixed(
    run: Run, here: Path, tiny: Path, photo: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    Image.new("RGB", (16, 16), "teal").save("small.png")
    latent = load(tiny).encode(photo).data.contiguous()
    data = {"kind": "latent", "version": 1, "space": {"id": "elsewhere", "channels": 4, "factor": 4}, "size": None}
    save_file({"latent": latent}, "foreign.latent.safetensors", {"fictile": json.dumps({**data, "vae": None})})
    save_file({"latent_tensor": latent, "latent_format_version_0": torch.empty(0)}, "comfy.latent")
    before = sorted(here.iterdir())
    outcome = run("mix", *arguments, "-m", tiny)
    assert outcome.code == 2, outcome.stderr
    assert sentence in outcome.sentence
    assert sorted(here.iterdir()) == before
