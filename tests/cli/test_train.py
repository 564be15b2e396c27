"""From a folder of pictures to a model, as its user meets it."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command_line import Run
from tests.training.tiny_runs import SIZE, disturb, picture_folder

from fictile.training import DenoiserTraining, Training, VAETraining
from fictile.training.vae import VAETrainee

SHORT = ("--size", SIZE, "--steps", 2, "--batch", 2, "--groups", 8, "--device", "cpu", "--precision", "float32")
VAE = (*SHORT, "--widths", "16,32", "--stem", 1)
U_NET = (*SHORT, "--widths", "16,32", "--depth", "0,1", "--heads", "1,2")
TEXT = ("--vocabulary", 280, "--text-width", 16, "--text-layers", 1, "--text-heads", 2, "--context", 12)


@pytest.fixture
def pictures(here: Path) -> Path:
    """A folder of six captioned pictures, beside which the commands run."""
    return picture_folder(here / "pictures", train=4, heldout=2).relative_to(here)


def test_pictures_become_a_model_that_makes_pictures(run: Run, pictures: Path) -> None:
    vae = run("train", "vae", pictures, "-o", "vae", *VAE)
    assert (vae.code, vae.stdout) == (0, ""), vae
    assert "Latents of the held-out pictures" in vae.stderr
    assert vae.stderr.endswith("Wrote vae/vae.safetensors\n")
    model = run("train", "denoiser", pictures, "--vae", "vae/vae.safetensors", "-o", "run", *U_NET, *TEXT)
    assert (model.code, model.stdout) == (0, ""), model
    assert model.stderr.endswith("Wrote run/model\n")
    made = run("generate", "a fox", "-m", "run/model", "--steps", 2, "--device", "cpu", "-o", "fox.png")
    assert made.code == 0, made
    assert Path("fox.png").is_file()


@pytest.mark.parametrize("command", ["vae", "denoiser"])
def test_the_defaults_are_those_of_the_options(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    given = list[Training]()

    def train(options: Training) -> Path:
        given.append(options)
        return options.output

    monkeypatch.setattr(f"fictile.training.train_{command}", train)
    data, output, vae = Path("pictures"), Path("run"), Path("vae.safetensors")
    if command == "vae":
        assert run("train", "vae", data, "-o", output).code == 0
        assert given == [VAETraining(data=data, output=output)]
    else:
        assert run("train", "denoiser", data, "--vae", vae, "-o", output).code == 0
        assert given == [DenoiserTraining(data=data, output=output, vae=vae)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("vae pictures --widths 64,big", ["--widths", "'64,big'", "64,128,256"]),
        ("vae pictures --widths ,", ["--widths", "','"]),
        ("vae pictures --size 33", ["size is 33", "multiple of 8"]),
        ("vae pictures --steps 0", ["steps is 0", "at least 1"]),
        ("vae pictures --precision fp16", ["fp16", "bf16"]),
        ("vae absent", ["There is no folder absent"]),
        ("denoiser pictures --vae absent.safetensors", ["absent.safetensors"]),
        ("denoiser pictures --vae absent.safetensors --heads 0,6,8", ["heads", "0, 6, 8"]),
        ("denoiser pictures --vae absent.safetensors --depth 0,1", ["3 widths, 2 depths and 3 heads"]),
        ("denoiser pictures --vae absent.safetensors --objective score", ["'score'", "flow, v, eps"]),
    ],
)
def test_a_wrong_request_is_one_sentence_and_writes_nothing(
    run: Run, here: Path, pictures: Path, command: str, words: list[str]
) -> None:
    assert pictures.is_dir()
    before = sorted(here.rglob("*"))
    outcome = run("train", *command.split(), "-o", "run", "--device", "cpu")
    assert outcome.code == 2, outcome
    assert all(word in outcome.sentence for word in words), outcome.sentence
    assert sorted(here.rglob("*")) == before


def test_after_ctrl_c_the_same_command_goes_on(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command: tuple[Any, ...] = ("train", "vae", pictures, "-o", "vae", *VAE)
    with monkeypatch.context() as patch:
        disturb(patch, VAETrainee, "step", 1, lambda: signal.raise_signal(signal.SIGINT))
        stopped = run(*command)
    assert (stopped.code, stopped.stdout) == (130, ""), stopped
    assert "The run is kept in vae/checkpoint.pt; the same command again goes on from there.\n" in stopped.stderr
    assert not Path("vae/vae.safetensors").exists()
    assert run(*command).code == 0
    assert Path("vae/vae.safetensors").is_file()
