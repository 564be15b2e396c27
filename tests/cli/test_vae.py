"""`--vae` as its user meets it."""

import json
from pathlib import Path

import pytest
import torch
from tests.cli.command_line import Run
from tests.tiny_model import tiny_autoencoder

from fictile.autoencoder import NormalisedAutoencoder
from fictile.checkpoint import save_autoencoder
from fictile.latent import LatentSpace


@pytest.fixture
def other(here: Path) -> Path:
    """An autoencoder that says it speaks another space, and is not the tiny model's."""
    torch.manual_seed(5)
    own = tiny_autoencoder()
    space = LatentSpace(id="elsewhere", channels=4, factor=4)
    save_autoencoder(NormalisedAutoencoder(own.network, own.normalisation, "other", space), here / "other.safetensors")
    return Path("other.safetensors")


def test_generate_says_which_vae_it_used_and_refuses_a_foreign_one(run: Run, tiny: Path, other: Path) -> None:
    made = run("generate", "a fox", "-m", tiny, "--steps", "1", "-o", "fox.png")
    assert "VAE: the model's own\n" in made.stderr
    refused = run("generate", "a fox", "-m", tiny, "--vae", other, "-o", "no.png")
    assert refused.code == 2
    assert "speaks another space" in refused.sentence
    assert not Path("no.png").exists()
    forced = run(
        "generate",
        "a fox",
        "-m",
        tiny,
        "--vae",
        other,
        "--force",
        "--steps",
        "1",
        "-o",
        "forced.png",
        "--json",
        "--precision",
        "float32",
    )
    assert json.loads(forced.stdout)["pictures"][0]["recipe"]["vae_forced"] is True
    assert run("replay", "forced.png", "-m", tiny, "--vae", other, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("forced.png").read_bytes()
    beside = run("doctor", "--recipe", "forced.png", "-m", tiny, "--vae", other, "--json")
    assert json.loads(beside.stdout)["largest"] <= 1


def test_an_autoencoder_alone_encodes_decodes_and_is_measured(run: Run, photo: Path, other: Path) -> None:
    assert "in elsewhere" in run("encode", photo, "--vae", other, "-o", "a.latent.safetensors").stderr
    assert run("decode", "a.latent.safetensors", "--vae", other, "-o", "b.png").code == 0
    (trip,) = json.loads(run("roundtrip", photo, "--vae", other, "--json").stdout)["trips"]
    assert trip["space"] == "elsewhere"


def test_mismatch_writes_a_gallery(run: Run, photo: Path, tiny: Path, other: Path) -> None:
    made = run("mismatch", photo, "--vae", tiny, "--vae", other, "-o", "sheet.png", "--json")
    assert [cell["name"] for cell in json.loads(made.stdout)["cells"]] == ["the picture", "tiny", "other"]
    assert Path("sheet.png").exists()
    alone = run("mismatch", photo, "--vae", tiny)
    assert alone.code == 2
    assert "two autoencoders or more" in alone.sentence
