"""`match`, as its user meets it."""

import json
from pathlib import Path

import pytest
from tests.checkpoint.pipelines import write_pipeline
from tests.cli.command_line import Run
from tests.tiny_model import tiny_autoencoder

from fictile.checkpoint import save_autoencoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion 1 of diffusers."""
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "sd1", "sd1")


def test_a_model_and_its_own_autoencoder(run: Run, tiny: Path) -> None:
    done = run("match", tiny, tiny)
    assert done.code == 0
    assert "belongs, with confidence 1.00" in done.stdout
    assert "Evidence" in done.stdout
    assert "belongs to tiny" in done.stderr


def test_the_document_holds_verdict_evidence_and_remedy(run: Run, here: Path, tiny: Path) -> None:
    save_autoencoder(tiny_autoencoder(stem=2), "other.safetensors")
    done = run("match", tiny, "other.safetensors", "--json")
    answer = json.loads(done.stdout)
    assert (done.code, answer["kind"], answer["vae"]) == (1, "foreign", "other.safetensors")
    assert answer["denoiser_space"]["id"].startswith("tiny-")
    assert [evidence["source"] for evidence in answer["evidence"]][-1] == "shape"
    assert "give an autoencoder of tiny-" in answer["remedy"]
    assert answer["sentence"] in done.stderr


def test_the_autoencoder_of_a_checkpoint_beside_its_denoiser(run: Run, folder: Path) -> None:
    """Its weights are random, which its colours say; its latents are its own all the same, so nobody can tell."""
    answer = json.loads(run("match", folder, folder, "--json").stdout)
    assert answer["denoiser_space"]["id"] == "sd1"
    sources = [evidence["source"] for evidence in answer["evidence"]]
    assert sources[0] == "bundle"
    assert "latents" in sources
    assert answer["kind"] in ("belongs", "cannot tell")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.safetensors", "TINY"], ["absent.safetensors", "does not exist"]),
        (["TINY", "absent.safetensors"], ["absent.safetensors", "does not exist"]),
        (["FOLDER/vae", "TINY"], ["a KL autoencoder", "give that first"]),
        (["TINY", "FOLDER/unet"], ["the U-Net of Stable Diffusion 1", "without an autoencoder"]),
    ],
)
def test_what_is_no_pair_is_refused(
    run: Run, here: Path, tiny: Path, folder: Path, arguments: list[str], words: list[str]
) -> None:
    places = [argument.replace("TINY", str(tiny)).replace("FOLDER", str(folder)) for argument in arguments]
    outcome = run("match", *places)
    assert outcome.code == 2
    assert all(word in outcome.sentence for word in words), outcome.sentence
