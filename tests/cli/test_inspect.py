"""`inspect` on files that are bad in every way that people meet, and on autoencoders that do not say their space."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.autoencoder.twins import random_network
from tests.checkpoint.pipelines import write_pipeline
from tests.checkpoint.test_read import save_with, write_gguf
from tests.cli.command_line import Run
from tests.tiny_model import tiny_autoencoder

from fictile.autoencoder import KNOWN
from fictile.checkpoint import content_hash, save_autoencoder
from fictile.checkpoint.released_files import RELEASED, Released

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion 1 of diffusers."""
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "sd1", "sd1", shards=True)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def long_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**33) + b"{")


def wrong_header(path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


def other_zip(path: Path) -> None:
    path.with_suffix(".txt").write_text("no pickle")
    shutil.make_archive(str(path.with_suffix("")), "zip", path.parent, path.with_suffix(".txt").name)
    path.with_suffix(".zip").rename(path)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "absent": ("model.safetensors", lambda path: None, "does not exist; check the name"),
    "empty": ("model.safetensors", lambda path: path.touch(), "is empty (0 bytes)"),
    "truncated": (
        "model.safetensors",
        lambda path: (save_file({"a": torch.zeros(99)}, path), cut(path)),
        "is truncated: ",
    ),
    "a header that is too long": ("model.safetensors", long_header, "claims a header of 8,589,934,592 bytes"),
    "a header that lies": ("model.safetensors", wrong_header, "its header and its length do not agree"),
    "a text": ("model.safetensors", lambda path: path.write_text("words"), "(it begins with 'words')"),
    "what a server answered": (
        "model.safetensors",
        lambda path: path.write_text('{"error":"Repository not found"}'),
        'it begins with \'{"error":"Repository not found"}\'',
    ),
    "a web page": (
        "model.safetensors",
        lambda path: path.write_text("\ufeff\n<!DOCTYPE html><html>", encoding="utf-8"),
        "is a web page that was saved in place of the file; download the file itself",
    ),
    "a pointer of Git LFS": (
        "model.safetensors",
        lambda path: path.write_text(LFS),
        "is a Git LFS pointer, a note of three lines in place of the file; run `git lfs pull`",
    ),
    "a pickle that ends early": (
        "model.ckpt",
        lambda path: (torch.save({"a": torch.zeros(99)}, path), cut(path)),
        "is truncated: ",
    ),
    "another zip": ("model.ckpt", other_zip, "is a damaged torch pickle, or a zip of another kind"),
    "a GGUF file that ends early": (
        "model.gguf",
        lambda path: (write_gguf(path), cut(path)),
        "is a GGUF file that ends early or is damaged",
    ),
    "a folder of something else": ("photos", lambda path: path.mkdir(), "neither model.json nor model_index.json nor"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_one_sentence_and_exit_code_2(run: Run, here: Path, case: str) -> None:
    name, make, words = BAD[case]
    make(here / name)
    for more in ([], ["--json"]):
        outcome = run("inspect", name, *more)
        assert outcome.code == 2
        assert name in outcome.sentence
        assert words in outcome.sentence


def test_a_pickle_with_a_foreign_global_is_refused_by_its_name(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        save_with(here / "model.ckpt", "some.framework.Callback", patch)
    outcome = run("inspect", "model.ckpt")
    assert outcome.code == 2
    assert "would run some.framework.Callback" in outcome.sentence
    assert "nothing was run" in outcome.sentence


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "lacks 1 of the "),
    "a pointer": (lambda shard: shard.write_text(LFS), "is a Git LFS pointer"),
    "truncated": (cut, "is truncated"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_folder_with_a_bad_shard_is_refused(run: Run, here: Path, folder: Path, case: str) -> None:
    shutil.copytree(folder, here / "model")
    spoil, words = SPOILED[case]
    spoil(min((here / "model" / "unet").glob("*-00001-of-*.safetensors")))
    outcome = run("inspect", "model")
    assert outcome.code == 2
    assert words in outcome.sentence
    assert "model/unet" in outcome.sentence


def test_what_can_be_read_and_not_used_is_a_page_with_its_problem(run: Run, here: Path) -> None:
    save_file({"lora_unet_a.lora_up.weight": torch.zeros(2, 2)}, "lora.safetensors")
    page = run("inspect", "lora.safetensors")
    assert page.code == 0
    assert "a LoRA" in page.stdout
    assert "Problem: lora.safetensors is a LoRA" in page.stderr


@pytest.fixture
def nameless(here: Path) -> Path:
    """A tiny autoencoder of the size that those of sd1 and sdxl have, without a word of which it is."""
    save_file(random_network(KNOWN["taesd"].spec).state_dict(), "my vae.safetensors")
    return Path("my vae.safetensors")


def test_an_autoencoder_that_does_not_say_its_space_has_candidates_and_a_command(run: Run, nameless: Path) -> None:
    found = json.loads(run("inspect", nameless, "--json").stdout)
    assert (found["kind"], found["space"], found["candidates"]) == ("autoencoder", None, ["sd1", "sdxl"])
    assert found["decides"] == "fictile match 'my vae.safetensors'"
    page = run("inspect", nameless)
    assert "not said; by its tensors sd1 or sdxl" in page.stdout
    assert "fictile match 'my vae.safetensors'" in page.stdout
    closer = run("match", nameless)
    assert (closer.code, "cannot tell" in closer.stdout) == (1, True)
    answer = json.loads(run("match", nameless, "--json").stdout)
    assert (answer["space"], answer["vae"]) == (None, str(nameless))
    assert "does not show which latent space it speaks" in answer["sentence"]


def test_the_hash_of_a_released_file_and_metadata_tell_the_space(
    run: Run, nameless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**RELEASED, content_hash(nameless): Released("taesdxl.safetensors", "sdxl")}
    with monkeypatch.context() as patch:
        for module in ("checkpoint.inspect", "matching.decide"):
            patch.setattr(f"fictile.{module}.RELEASED", known)
        assert "sdxl (told by its hash: it is taesdxl.safetensors, as released)" in run("inspect", nameless).stdout
        found = json.loads(run("inspect", nameless, "--json").stdout)
        assert (found["space"], found["candidates"]) == ("sdxl", [])
        told = run("match", nameless)
        assert (told.code, "sdxl (4 channels, 1/8), with confidence 1.00" in told.stdout) == (0, True)
    own = tiny_autoencoder()
    save_autoencoder(own, "own.safetensors")
    assert f"{own.space.id} (told by its metadata)" in run("inspect", "own.safetensors").stdout


def test_an_autoencoder_beside_a_denoiser_has_its_space(run: Run, folder: Path) -> None:
    assert "sd1 (told by the denoiser that it came with)" in run("inspect", folder).stdout
