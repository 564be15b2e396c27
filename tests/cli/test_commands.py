"""Every command does what its help says, with a tiny untrained model."""

import json
import re
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pytest
import torch
from PIL import Image
from tests.cli.command_line import Run

from fictile import __version__
from fictile.fidelity import psnr
from fictile.latent import Latent
from fictile.picture import load_picture, save_picture
from fictile.recipe import Recipe


def test_generate_numbers_the_pictures_and_their_seeds(run: Run, here: Path, tiny: Path) -> None:
    outcome = run("generate", "a fox", "-n", 2, "--seed", 7, "-m", tiny, "-o", "fox.png")
    assert (outcome.code, outcome.stdout) == (0, "")
    assert sorted(path.name for path in here.iterdir()) == ["fox-1.png", "fox-2.png"]
    assert load_picture("fox-1.png").pixels.shape == (3, 32, 32)
    assert outcome.stderr.splitlines()[:2] == ["fox-1.png  seed 7", "fox-2.png  seed 8"]


def test_generate_names_pictures_after_the_prompt_and_replaces_none(run: Run, here: Path, tiny: Path) -> None:
    for _ in range(2):
        assert run("generate", "A fox!", "--steps", 1, "-m", tiny).code == 0
    assert sorted(path.name for path in here.iterdir()) == ["a-fox-1.png", "a-fox.png"]


def test_generate_takes_every_choice_and_says_so_in_json(run: Run, tiny: Path) -> None:
    choices = ("--negative", "leaf", "--size", "40x24", "--steps", 3, "--guidance", 2.5, "--sampler", "Euler a")
    outcome = run(
        "generate", "a fox", *choices, "--schedule", "beta", "--seed", 1, "-m", tiny, "-o", "fox.png", "--json"
    )
    document = json.loads(outcome.stdout)
    assert document.keys() == {"pictures", "seconds"}
    [picture] = document["pictures"]
    assert picture["path"] == "fox.png"
    chosen = {
        "prompt": "a fox",
        "negative": "leaf",
        "size": [24, 40],
        "steps": 3,
        "guidance": 2.5,
        "sampler": "euler_ancestral",
        "schedule": "beta",
        "seed": 1,
    }
    assert picture["recipe"].items() >= chosen.items()


def test_generate_says_how_the_prompt_is_read_when_asked(run: Run, tiny: Path) -> None:
    outcome = run("generate", "a (red:1.5) fox", "--negative", "leaf", "--steps", 1, "-m", tiny, "-v", "-o", "fox.png")
    assert (outcome.code, outcome.stdout) == (0, "")
    prompt, negative = (line for line in outcome.stderr.splitlines() if "rompt: " in line)
    assert re.fullmatch(r"Prompt: \d+ tokens in 1 chunk of 12; red x 1.5", prompt)
    assert re.fullmatch(r"Negative prompt: \d+ tokens? in 1 chunk of 12", negative)


def test_generate_reads_brackets_as_it_is_told(run: Run, tiny: Path) -> None:
    choices = ("--weighting", "none", "--clip-skip", 1, "--steps", 1, "-m", tiny, "-o", "fox.png")
    recipe = json.loads(run("generate", "a (red) fox", *choices, "--json").stdout)["pictures"][0]["recipe"]
    assert (recipe["weighting"], recipe["clip_skip"]) == ("none", 1)
    outcome = run("generate", "a fox", "--weighting", "nun", "-m", tiny, "-o", "other.png")
    assert outcome.code == 2
    assert "Weighting 'nun' is unknown" in outcome.sentence


def test_generate_starts_from_a_picture(run: Run, tiny: Path, photo: Path) -> None:
    outcome = run("generate", "a fox", "--from", photo, "--strength", 0.5, "-m", tiny, "-o", "fox.png", "--json")
    recipe = json.loads(outcome.stdout)["pictures"][0]["recipe"]
    assert (recipe["size"], recipe["strength"]) == ([24, 40], 0.5)
    assert run("replay", "fox.png", "--from", photo, "-m", tiny, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("fox.png").read_bytes()


def test_replay_makes_the_same_bytes(run: Run, tiny: Path) -> None:
    run("generate", "a fox", "-n", 2, "-m", tiny, "-o", "fox.png")
    outcome = run("replay", "fox-2.png", "-m", tiny)
    assert outcome.code == 0
    assert "Note" not in outcome.stderr
    assert Path("fox-2-replay.png").read_bytes() == Path("fox-2.png").read_bytes()


def test_encode_and_decode_keep_the_size(run: Run, tiny: Path, here: Path) -> None:
    Image.new("RGB", (37, 21), "teal").save("odd.png")
    encoded = json.loads(run("encode", "odd.png", "-m", tiny, "--json").stdout)
    assert encoded.keys() == {"path", "space", "shape", "size", "vae"}
    assert (encoded["path"], encoded["size"]) == ("odd.latent.safetensors", [21, 37])
    latent = Latent.load(encoded["path"])
    assert (latent.space.id, list(latent.data.shape)) == (encoded["space"], encoded["shape"])
    decoded = json.loads(run("decode", encoded["path"], "-m", tiny, "-o", "back.png", "--json").stdout)
    assert decoded == {"path": "back.png", "space": latent.space.id, "width": 37, "height": 21}
    assert load_picture("back.png").pixels.shape == (3, 21, 37)


def test_guidance_in_an_interval_is_recorded_and_replayed(run: Run, tiny: Path, photo: Path) -> None:
    always = run("generate", "a fox", "-m", tiny, "--seed", 1, "--json", "-o", "always.png")
    within = ("--guidance-interval", "0.15-0.85", "--seed", 1, "-m", tiny)
    limited = run("generate", "a fox", *within, "--json", "-o", "limited.png")
    recipes = [json.loads(made.stdout)["pictures"][0]["recipe"] for made in (always, limited)]
    assert [recipe["guidance_interval"] for recipe in recipes] == [[0, 1], [0.15, 0.85]]
    assert recipes[1] == recipes[0] | {"guidance_interval": [0.15, 0.85]}
    assert not load_picture("limited.png").pixels.equal(load_picture("always.png").pixels)
    assert run("replay", "limited.png", "-m", tiny, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("limited.png").read_bytes()
    assert run("edit", photo, "a fox", *within, "--guidance", 2, "-o", "edited.png").code == 0
    recipe = Recipe.read("edited.png")
    assert (recipe.guidance, recipe.guidance_interval) == (2, (0.15, 0.85))


def test_encode_and_decode_by_openvino(
    run: Run, tiny: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for backend in ("eager", "openvino"):
        options = ("--precision", "float32", "--device", "cpu", "--backend", backend)
        assert run("encode", photo, "-m", tiny, *options, "-o", f"{backend}.latent.safetensors").code == 0
        assert run("decode", f"{backend}.latent.safetensors", "--vae", tiny, *options, "-o", f"{backend}.png").code == 0
    pixels, other = (load_picture(f"{backend}.png").pixels for backend in ("eager", "openvino"))
    torch.testing.assert_close(other, pixels, rtol=0, atol=1.01 / 127.5)  # one step of a byte
    assert len(list((tmp_path / "cache").rglob("graph.xml"))) == 2  # both ways of the autoencoder; no denoiser ran


def test_a_run_by_a_back_end_that_is_gone_is_decoded_and_replayed_by_another(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("generate", "a fox", "-m", tiny, "--seed", 1, "--keep-latent", "-o", "fox.png").code == 0
    latent = Latent.load("fox.latent.safetensors")
    recipe = replace(Recipe.read("fox.latent.safetensors"), backend="openvino")
    latent.save("gone.latent.safetensors", {"recipe": recipe.to_json()})
    monkeypatch.setattr("fictile.engine.backend.find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]
    assert "OpenVINO is not installed" in run("decode", "gone.latent.safetensors", "-m", tiny).sentence
    made = run("decode", "gone.latent.safetensors", "-m", tiny, "--backend", "eager", "-o", "back.png")
    assert made.code == 0, made.stderr
    assert load_picture("back.png").pixels.equal(load_picture("fox.png").pixels)
    assert "OpenVINO is not installed" in run("replay", "gone.latent.safetensors", "-m", tiny).sentence
    again = run("replay", "gone.latent.safetensors", "-m", tiny, "--backend", "eager", "-o", "again.png")
    assert "backend is eager, was openvino" in again.stderr
    assert load_picture("again.png").pixels.equal(load_picture("fox.png").pixels)


def test_roundtrip_says_what_changes_and_writes_what_it_was_told_to(run: Run, tiny: Path, photo: Path) -> None:
    outcome = run("roundtrip", photo, "-m", tiny)
    assert "Through tiny, colours" in outcome.stdout
    assert [path.name for path in Path().iterdir()] == [photo.name]  # unasked nothing is written
    outcome = run("roundtrip", photo, "--vae", tiny, "-o", "back.png", "--report", "report.html", "--json")
    [trip] = json.loads(outcome.stdout)["trips"]
    assert trip["passes"][0]["psnr"] == pytest.approx(psnr(load_picture(photo).pixels, load_picture("back.png").pixels))
    assert "Through tiny, colours" in Path("report.html").read_text()


def test_roundtrip_of_several_pictures_and_autoencoders(run: Run, tiny: Path, photo: Path) -> None:
    Path("photos").mkdir()
    Path("back").mkdir()
    for name in ("a.png", "b.png"):
        copyfile(photo, Path("photos") / name)
    outcome = run(
        *(
            "roundtrip",
            "photos",
            "--vae",
            tiny,
            "--vae",
            tiny / "vae.safetensors",
            "--passes",
            2,
            "-o",
            "back",
            "--no-forecast",
        )
    )
    assert outcome.code == 0, outcome.stderr
    assert sorted(path.name for path in Path("back").iterdir()) == [
        *("a-tiny.png", "a-vae.png", "b-tiny.png", "b-vae.png")
    ]
    assert "keep them equally well" in outcome.stdout


def test_inspect_survives_a_nest_of_brackets(run: Run) -> None:
    nest = '{"a": ' * 100_000
    save_picture(torch.zeros(3, 4, 4), "nest.png", {"note": nest})
    assert json.loads(run("inspect", "nest.png", "--json").stdout)["about"] == {"note": nest}


def test_inspect_tells_what_a_file_is(run: Run, tiny: Path, photo: Path) -> None:
    run("generate", "a fox", "-m", tiny, "-o", "fox.png")
    run("encode", photo, "-m", tiny)
    Path("note.txt").write_text("buy clay")
    kinds = {
        "fox.png": "picture",
        "photo.latent.safetensors": "latent",
        tiny / "vae.safetensors": "autoencoder",
        tiny / "unet.safetensors": "denoiser",
        tiny / "text.safetensors": "text",
        tiny: "model",
    }
    for path, kind in kinds.items():
        found = json.loads(run("inspect", path, "--json").stdout)
        assert found["kind"] == kind
        assert found["description"] in run("inspect", path).stdout
    assert json.loads(run("inspect", "fox.png", "--json").stdout)["about"]["fictile"]["prompt"] == "a fox"
    assert "fictile.prompt" in run("inspect", "fox.png").stdout
    note = run("inspect", photo.with_name("note.txt"))
    assert (note.code, "nothing else that Fictile knows" in note.sentence) == (2, True)


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"fictile {__version__}\n"
