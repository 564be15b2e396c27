"""`inspect` and `convert` on models that people own, as their user meets them."""

import json
from pathlib import Path

import pytest
import torch
from tests.checkpoint.pipelines import write_pipeline
from tests.cli.command_line import Run
from tests.tiny_model import tiny_autoencoder

from fictile.checkpoint import load_checkpoint, save_autoencoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion 1 of diffusers."""
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "sd1", "sd1")


def test_a_folder_becomes_a_file_and_a_folder_again(run: Run, here: Path, folder: Path) -> None:
    made = run("convert", folder, "fox.safetensors", "--title", "Fox")
    assert (made.code, made.stdout) == (0, "")
    assert "fox.safetensors  a model of Stable Diffusion 1, " in made.stderr
    back = run("convert", "fox.safetensors", "back", "--json")
    answer = json.loads(back.stdout)
    assert answer["path"] == "back"
    assert (answer["size"], answer["title"]) == (
        sum(Path(name).stat().st_size for name in answer["files"]),
        "a model of Stable Diffusion 1",
    )
    assert answer["notes"] == ["No tokenizer was at hand; copy the folders tokenizer and tokenizer_2 of a like model."]
    before, after = load_checkpoint(folder), load_checkpoint(here / "back")
    for role in ("unet", "vae", "text_encoder"):
        state = getattr(after, role).state_dict()
        assert all(torch.equal(value, state[name]) for name, value in getattr(before, role).state_dict().items())


def test_numbers_are_stored_as_one_asks(run: Run, here: Path, folder: Path) -> None:
    assert run("convert", folder, "half.safetensors", "--dtype", "fp16").code == 0
    assert json.loads(run("inspect", "half.safetensors", "--json").stdout)["dtype"] == "F16"


def test_the_page_and_the_document_of_a_model(run: Run, here: Path, folder: Path) -> None:
    assert run("convert", folder, "fox.safetensors", "--title", "Fox").code == 0
    found = json.loads(run("inspect", "fox.safetensors", "--json").stdout)
    identity = found["identity"]
    assert (found["kind"], found["description"], found["space"]) == ("model", "a model of Stable Diffusion 1", "sd1")
    assert (identity["family"], identity["variant"], identity["prediction"]) == ("sd1", "base", "eps")
    assert (identity["missing"], identity["unexpected"], identity["problems"]) == ([], [], [])
    assert [network["role"] for network in found["networks"]] == ["unet", "vae", "text_encoder"]
    assert (found["about"]["modelspec.title"], found["about"]["fictile"]["family"]) == ("Fox", "sd1")
    page = run("inspect", "fox.safetensors")
    assert page.code == 0
    lines = [line.split() for line in page.stdout.splitlines()]
    for words in (["family", "sd1"], ["variant", "base"], ["format", "safetensors"], ["modelspec.title", "Fox"]):
        assert words in lines
    assert "Networks" in page.stdout
    assert "U-Net" in page.stdout
    assert "specs" not in page.stdout, "what programs read has no place on the page"
    assert "Note: The U-Net has sizes of its own" in page.stderr


def test_a_folder_is_told_as_its_file_is(run: Run, folder: Path) -> None:
    found = json.loads(run("inspect", folder, "--json").stdout)
    assert (found["description"], found["identity"]["format"]) == ("a model of Stable Diffusion 1", "folder")
    assert "a model of Stable Diffusion 1" in run("inspect", folder).stdout


def test_inspect_refuses_a_name_that_the_hub_does_not_have(run: Run) -> None:
    outcome = run("inspect", "hub:fox")
    assert (outcome.code, "hub:owner/name" in outcome.sentence) == (2, True)


def test_an_autoencoder_alone_goes_both_ways(run: Run, here: Path, folder: Path) -> None:
    made = run("convert", folder / "vae", "vae.safetensors", "--dtype", "fp16")
    assert (made.code, made.stdout) == (0, "")
    assert "vae.safetensors  a KL autoencoder, " in made.stderr
    back = json.loads(run("convert", "vae.safetensors", "back", "--json").stdout)
    assert back["files"] == ["back/diffusion_pytorch_model.safetensors"]
    assert json.loads(run("inspect", "back", "--json").stdout)["dtype"] == "F16"


def test_another_autoencoder_is_baked_in_unless_it_is_foreign(run: Run, here: Path, folder: Path) -> None:
    made = json.loads(run("convert", folder, "whole.safetensors", "--vae", folder, "--json").stdout)
    assert (made["space"], made["vae_forced"]) == ("sd1", False)
    assert made["vae"].startswith("sd1, baked in: ")
    save_autoencoder(tiny_autoencoder(), "other.safetensors")
    refused = run("convert", folder, "no.safetensors", "--vae", "other.safetensors")
    assert refused.code == 2
    assert "works in sd1" in refused.sentence
    assert not Path("no.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.safetensors", "out"], ["absent.safetensors", "does not exist"]),
        (["MODEL", "out", "--dtype", "fp17"], ["'fp17'", "fp16"]),
        (["MODEL", "out.ckpt"], ["out.ckpt", ".safetensors"]),
        (["MODEL", "full"], ["full", "choose another name"]),
        (["MODEL", "out", "--ema"], ["averaged copies", "load it without"]),
        (["MODEL", "out", "--variant", "fp8"], ["fp8"]),
        (["MODEL/text_encoder", "out"], ["a text encoder", "only whole models"]),
        (["MODEL/vae", "out.safetensors", "--names", "sd"], ["'sd'", "released, diffusers"]),
        (["MODEL/vae", "out", "--vae", "MODEL/vae"], ["baked into a whole model"]),
    ],
)
def test_convert_refuses_and_writes_nothing(
    run: Run, here: Path, folder: Path, arguments: list[str], words: list[str]
) -> None:
    (here / "full").mkdir()
    (here / "full" / "mine.txt").write_text("mine")
    outcome = run("convert", *(argument.replace("MODEL", str(folder)) for argument in arguments))
    assert outcome.code == 2
    assert all(word in outcome.sentence for word in words), outcome.sentence
    assert [path.name for path in here.rglob("*")] == ["full", "mine.txt"]
