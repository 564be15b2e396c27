"""What is sampled survives a decode that fails or is killed, and becomes the picture that it would have been."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.cli.command_line import Run
from tests.tiny_model import tiny_parts

import fictile
from fictile.autoencoder import COMFY_SUFFIX as COMFY
from fictile.autoencoder import AnyAutoencoder
from fictile.checkpoint import save_autoencoder
from fictile.cli.destination import COMFY_SUFFIX, SUFFIX
from fictile.codec import AutoencoderCodec
from fictile.latent import SUFFIX as OURS
from fictile.latent import Latent
from fictile.picture import load_picture, read_text
from fictile.recipe import Recipe
from fictile.unfinished import Sampled, Shelf

# The real command line, which stops for ever at its second picture's decode and says that it is there.
HANGS_IN_DECODE = """
import pathlib, sys, time
from fictile.cli import main
from fictile.codec import AutoencoderCodec

decode, calls = AutoencoderCodec.decoded, []

def decoded(self, *arguments):
    calls.append(arguments)
    if len(calls) == 2:
        pathlib.Path("in-decode").touch()
        time.sleep(600)
    return decode(self, *arguments)

AutoencoderCodec.decoded = decoded
main(sys.argv[1:])
"""
REQUEST = ("generate", "a red fox", "-n", 2, "--seed", 5)

can_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill so")


def shelf() -> list[Path]:
    return sorted((Path(os.environ["XDG_STATE_HOME"]) / "fictile" / "latents").glob("*"))


@contextmanager
def no_memory() -> Generator[None]:
    """Decoding fails inside the block."""

    def decoded(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoencoderCodec, "decoded", decoded)
        yield


def killed_in_decode(*arguments: object) -> Path:
    """Run a command line until it decodes its second picture, then kill -9: what lies on the shelf."""
    threads = str(torch.get_num_threads())
    here_too = {"OMP_NUM_THREADS": threads, "PYTHONPATH": str(Path(fictile.__file__).parents[1])}
    child = subprocess.Popen(
        [sys.executable, "-c", HANGS_IN_DECODE, *map(str, arguments)],
        env={**os.environ, **here_too},
        stderr=subprocess.PIPE,
    )
    try:
        while not Path("in-decode").exists():
            assert child.poll() is None, child.stderr and child.stderr.read().decode()
            time.sleep(0.05)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    [kept] = shelf()
    return kept


@can_kill
def test_a_run_killed_during_decode_is_finished_without_sampling_again(
    run: Run, here: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = killed_in_decode(*REQUEST, "-m", tiny, "-o", "killed.png")
    assert not list(here.glob("killed*"))

    monkeypatch.chdir(here.parent)  # the names are found again from anywhere
    with monkeypatch.context() as without:
        without.setattr("fictile.diffusion.Diffusion.sample", None)
        assert run("decode", "--last").code == 0
    assert shelf() == []
    assert not kept.exists()
    monkeypatch.chdir(here)
    assert run(*REQUEST, "-m", tiny, "-o", "whole.png").code == 0
    for number in (1, 2):
        assert Path(f"killed-{number}.png").read_bytes() == Path(f"whole-{number}.png").read_bytes()


def another_autoencoder(factor: float) -> AnyAutoencoder:
    """The tiny model's, with larger weights where it decodes: of the same space."""
    own = tiny_parts().autoencoder
    with torch.no_grad():
        for name, parameter in own.network.named_parameters():
            if name.startswith("decoder."):
                parameter.mul_(factor)
    return own


@can_kill
def test_a_run_with_another_vae_is_finished_with_that_one_or_not_at_all(
    run: Run, here: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_autoencoder(another_autoencoder(1.1), here / "other.safetensors")
    request = (*REQUEST, "-m", tiny, "--vae", "other.safetensors")
    kept = killed_in_decode(*request, "-o", "killed.png")

    monkeypatch.chdir(here.parent)
    (here / "other.safetensors").rename("away.safetensors")
    gone = run("decode", "--last").sentence
    assert str(here / "other.safetensors") in gone
    save_autoencoder(another_autoencoder(1.2), here / "other.safetensors")
    changed = run("decode", kept).sentence
    assert "The run had the autoencoder with hash" in changed
    assert kept.exists()
    assert not list(here.glob("killed*"))

    Path("away.safetensors").replace(here / "other.safetensors")
    with monkeypatch.context() as without:
        without.setattr("fictile.diffusion.Diffusion.sample", None)
        assert run("decode", "--last").code == 0
    monkeypatch.chdir(here)
    assert run(*request, "-o", "whole.png").code == 0
    for number in (1, 2):
        assert Path(f"killed-{number}.png").read_bytes() == Path(f"whole-{number}.png").read_bytes()
    assert run(*REQUEST, "-m", tiny, "-o", "own.png").code == 0
    assert load_picture("own-1.png").pixels.ne(load_picture("whole-1.png").pixels).any()


def test_a_failed_decode_prints_the_command_that_finishes(run: Run, tiny: Path) -> None:
    with no_memory():
        outcome = run(*REQUEST, "-m", tiny, "-o", "fox.png")
    assert outcome.code == 1
    found = re.search(r"makes the picture of it: fictile (.*)", outcome.stderr)
    assert found, outcome.stderr
    assert not Path("fox-1.png").exists()
    assert run(*shlex.split(found[1])).code == 0
    assert run(*REQUEST, "-m", tiny, "-o", "whole.png").code == 0
    assert Path("fox-2.png").read_bytes() == Path("whole-2.png").read_bytes()
    assert shelf() == []


def test_what_came_in_the_meantime_is_not_replaced(run: Run, tiny: Path) -> None:
    with no_memory():
        run("generate", "a fox", "-m", tiny, "-o", "fox.png")
    Path("fox.png").write_text("mine")
    assert "fox-1.png" in run("decode", "--last").stderr
    assert Path("fox.png").read_text() == "mine"


def test_a_replay_is_kept_as_well(run: Run, tiny: Path) -> None:
    run(*REQUEST, "-m", tiny, "-o", "fox.png")
    with no_memory():
        assert run("replay", "fox-2.png", "-m", tiny, "-o", "again.png").code == 1
    assert run("decode", "--last").code == 0
    assert Path("again.png").read_bytes() == Path("fox-2.png").read_bytes()


def test_where_nothing_can_be_kept_the_run_goes_on(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("a-file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(Path("a-file").absolute()))
    assert run("generate", "a fox", "-m", tiny, "-o", "fox.png").code == 0
    assert "could not be kept" in caplog.text
    assert Path("fox.png").is_file()


def test_a_kept_latent_lies_beside_its_picture_and_is_decoded_to_it(run: Run, tiny: Path) -> None:
    assert run(*REQUEST, "-m", tiny, "-o", "fox.png", "--keep-latent").code == 0
    assert shelf() == []
    assert run("decode", "fox-2.latent.safetensors", "-m", tiny, "-o", "back.png").code == 0
    assert Path("back.png").read_bytes() == Path("fox-2.png").read_bytes()
    assert Recipe.read("fox-2.latent.safetensors") == Recipe.read("fox-2.png")
    assert Path("fox-2.latent.safetensors").is_file()
    assert run("generate", "a fox", "-m", tiny, "--keep-latent").code == 0
    Path("a-fox.png").unlink()
    assert run("generate", "a fox", "-m", tiny, "--keep-latent").code == 0
    assert Path("a-fox-1.latent.safetensors").is_file()


def test_stripped_results_say_nothing(run: Run, tiny: Path) -> None:
    assert run("generate", "a fox", "-m", tiny, "-o", "fox.png", "--keep-latent", "--strip").code == 0
    assert read_text("fox.png") == {}
    assert b"a fox" not in Path("fox.latent.safetensors").read_bytes()
    run("generate", "a fox", "-m", tiny, "-o", "said.png", "--keep-latent")
    assert b"a fox" in Path("said.latent.safetensors").read_bytes()
    assert run("decode", "said.latent.safetensors", "-m", tiny, "-o", "back.png", "--strip").code == 0
    assert read_text("back.png") == {}
    assert run("strip", "said.png", "-o", "bare.png").code == 0
    assert read_text("bare.png") == {}
    assert torch.equal(load_picture("bare.png").pixels, load_picture("said.png").pixels)


def test_decode_wants_one_thing_to_decode(run: Run, tiny: Path, photo: Path) -> None:
    assert "either the path of a latent, or --last" in run("decode").sentence
    assert "No run is unfinished" in run("decode", "--last").sentence
    run("encode", photo, "-m", tiny)
    assert run("decode", "photo.latent.safetensors", "--last").code == 2
    assert "leave the space out" in run("decode", "photo.latent.safetensors", "--space", "sd1", "-m", tiny).sentence


def test_several_latents_become_several_pictures(run: Run, tiny: Path, photo: Path) -> None:
    run("encode", photo, "-m", tiny)
    one = Latent.load("photo.latent.safetensors")
    Latent(torch.cat([one.data, -one.data]), one.space, one.size).save("two.latent.safetensors")
    assert run("decode", "two.latent.safetensors", "-m", tiny).code == 0
    assert Path("two-1.png").is_file()
    assert Path("two-2.png").is_file()


def test_the_commands_know_the_endings_without_the_library() -> None:
    assert (SUFFIX, COMFY_SUFFIX) == (OURS, COMFY)


def test_a_run_of_the_packaged_model_stays_one_with_another_vae(run: Run, tiny: Path) -> None:
    with no_memory():
        run("generate", "a fox", "-m", tiny, "-o", "fox.png")
    [path] = shelf()
    found = Sampled.read(path)
    assert found.recipe
    assert found.recipe.prompt == "a fox"
    Shelf().keep(found.latent, found.recipe, model=None, pictures=found.pictures)
    refused = run("decode", "--last", "--vae", tiny)
    assert "emoji" in refused.sentence
    assert not Path("fox.png").exists()


def test_an_edit_is_finished_on_its_file(run: Run, tiny: Path, photo: Path) -> None:
    request = ("edit", photo, "a fox", "--box", "4,4,16x12", "--seed", 3, "-n", 2, "-m", tiny)
    with no_memory():
        assert run(*request, "-o", "lost.png").code == 1
    assert run("decode", "--last").code == 0
    assert run(*request, "-o", "whole.png", "--keep-latent").code == 0
    assert Path("lost-2.png").read_bytes() == Path("whole-2.png").read_bytes()
    assert Recipe.read("whole-2.latent.safetensors") == Recipe.read("whole-2.png")
    assert "give the file" in run("decode", "whole-2.latent.safetensors", "-m", tiny, "-o", "no.png").sentence
