"""A run that was stopped, or died, ends with the same bits as one that was not."""

import json
import os
import signal
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from fictile.errors import FictileError, RequestError, SpaceMismatch
from fictile.training import DenoiserTraining, VAETraining, train_denoiser, train_vae
from fictile.training import vae as vae_module
from fictile.training.denoiser import DenoiserTrainee
from fictile.training.optimiser import NotFiniteError, Optimiser
from fictile.training.run import CHECKPOINT, open_run, run
from fictile.training.vae import VAETrainee

from .tiny_runs import denoiser_options, disturb, picture_folder, vae_options, vae_trainee


def ctrl_c() -> None:
    """What the terminal does."""
    os.kill(os.getpid(), signal.SIGINT)


def die() -> None:
    """A stop that nothing is prepared for."""
    raise ZeroDivisionError


def checkpoint(folder: Path) -> dict[str, Any]:
    """What is in the run's checkpoint."""
    return torch.load(folder / CHECKPOINT, weights_only=True)


def leaves(state: Any, name: str = "") -> dict[str, Any]:
    """Every tensor and plain value of a nested state, by its path."""
    if isinstance(state, dict | list):
        pairs = state.items() if isinstance(state, dict) else enumerate(state)
        return {path: leaf for key, value in pairs for path, leaf in leaves(value, f"{name}/{key}").items()}
    return {name: state}


def logged(folder: Path) -> list[dict[str, float]]:
    """The lines of the log without what a clock wrote."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "pictures_per_second")} for line in lines]


def exported(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of every file in a folder."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


def train(options: VAETraining | DenoiserTraining) -> Path:
    """Whichever training the options are for."""
    return train_vae(options) if isinstance(options, VAETraining) else train_denoiser(options)


def make(kind: str, data: Path, vae: Path, output: Path) -> VAETraining | DenoiserTraining:
    """The options of one of the runs that are compared."""
    match kind:
        case "vae with gan":
            return vae_options(data, output, gan=0.5, gan_start=0.3)
        case "vae with perceptual loss":
            pytest.importorskip("efficientnet_lite_pytorch")
            return vae_options(data, output, perceptual=0.1, perceptual_crop=24)
        case "flow":
            return denoiser_options(data, output, vae)
        case "muon":
            return denoiser_options(data, output, vae, optimiser="muon")
        case _:
            return denoiser_options(data, output, vae, objective="v", flip=True)


@pytest.mark.parametrize("kind", ["vae with gan", "vae with perceptual loss", "flow", "muon", "v"])
def test_a_broken_run_equals_an_unbroken_one(
    kind: str, data: Path, vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(make(kind, data, vae, tmp_path / "unbroken"))
    options = make(kind, data, vae, tmp_path / "broken")
    trainee = VAETrainee if isinstance(options, VAETraining) else DenoiserTrainee

    with monkeypatch.context() as patch:
        disturb(patch, trainee, "step", 10, ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            train(options)
    assert checkpoint(options.output)["step"] == 10

    with monkeypatch.context() as patch:  # in the middle of a step: the networks have moved, their averages have not
        disturb(patch, Optimiser, "update", 7, die)
        with pytest.raises(ZeroDivisionError):
            train(options)
    assert checkpoint(options.output)["step"] == 10

    broken = train(options)
    expected, found = (checkpoint(tmp_path / name) for name in ("unbroken", "broken"))
    assert found["step"] == expected["step"] == 20
    expected, found = leaves(expected["state"]), leaves(found["state"])
    assert found.keys() == expected.keys()
    different = [name for name, value in expected.items() if not same(value, found[name])]
    assert not different
    assert exported(broken) == exported(unbroken)
    assert logged(options.output)[-1] == logged(tmp_path / "unbroken")[-1]
    assert [line["step"] for line in logged(options.output)] == [5, 10, 15, 20, 20]  # 10's sheet gave way to Ctrl-C


def same(a: Any, b: Any) -> bool:
    """Bit by bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return a == b


def test_ctrl_c_during_a_sheet_of_samples_keeps_the_work(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = vae_options(data, tmp_path, steps=6, sample_every=3)
    disturb(monkeypatch, VAETrainee, "sample", 1, ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        train_vae(options)
    assert checkpoint(tmp_path)["step"] == 3
    assert train_vae(options).exists()


def test_what_is_not_a_number_stops_the_run_and_changes_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = vae_options(data, tmp_path)
    with monkeypatch.context() as patch:
        disturb(patch, VAETrainee, "step", 3, ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            train_vae(options)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    trainee = vae_trainee(options)
    about = open_run(options, (trainee.train, trainee.heldout))
    monkeypatch.setattr(vae_module, "mse_loss", lambda made, target: (made - target).mean() * float("nan"))  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(FictileError, match=r"not a finite number at step 3; the last good checkpoint is .*checkpoint"):
        run(trainee, options, about)
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    before, after = leaves(checkpoint(tmp_path)["state"]), leaves(trainee.state_dict())
    assert [name for name, value in before.items() if not same(value, after[name])] == []


def test_an_infinite_gradient_of_a_finite_loss_changes_nothing(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    optimiser = Optimiser([network], vae_options(tmp_path, tmp_path))
    with pytest.raises(NotFiniteError):
        optimiser.update(network.weight.abs().sqrt().sum(), 0)
    assert network.weight.item() == 0


def test_another_run_is_not_continued(data: Path, vae: Path, tmp_path: Path) -> None:
    train_vae(vae_options(data, tmp_path, steps=1))
    with pytest.raises(RequestError, match="another batch and another seed; give the options"):
        train_vae(vae_options(data, tmp_path, steps=2, batch=3, seed=1))
    with pytest.raises(RequestError, match="another optimiser;"):
        train_vae(vae_options(data, tmp_path, steps=2, optimiser="muon"))
    with pytest.raises(RequestError, match="another gan;"):
        train_vae(vae_options(data, tmp_path, steps=2, gan=0.5))
    with pytest.raises(RequestError, match="holds the run of a VAE; choose another output folder"):
        train_denoiser(denoiser_options(data, tmp_path, vae))


def test_a_run_that_names_no_optimiser_goes_on_with_adamw(data: Path, tmp_path: Path) -> None:
    """Checkpoints are older than the choice."""
    train_vae(vae_options(data, tmp_path, steps=1))
    saved = checkpoint(tmp_path)
    del saved["options"]["optimiser"]
    torch.save(saved, tmp_path / CHECKPOINT)
    train_vae(vae_options(data, tmp_path, steps=2))
    assert checkpoint(tmp_path)["step"] == 2


def test_a_run_may_become_longer(data: Path, tmp_path: Path) -> None:
    train_vae(vae_options(data, tmp_path, steps=2))
    train_vae(vae_options(data, tmp_path, steps=3, learning_rate=1e-4))
    assert checkpoint(tmp_path)["step"] == 3


def test_a_run_says_where_it_goes_on_and_that_it_is_done(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_vae(vae_options(data, tmp_path, steps=2))
    assert "Going on" not in capfd.readouterr().err
    train_vae(vae_options(data, tmp_path, steps=3))
    assert "Going on from step 2 of 3." in capfd.readouterr().err
    train_vae(vae_options(data, tmp_path, steps=2))
    assert "has done 3 steps, and 2 are asked for" in capfd.readouterr().err


def test_the_options_file_tells_of_the_last_start(data: Path, tmp_path: Path) -> None:
    for rate in (1e-3, 1e-4):
        train_vae(vae_options(data, tmp_path, steps=1, learning_rate=rate))
        assert json.loads((tmp_path / "options.json").read_text())["learning_rate"] == rate


def test_the_same_data_from_elsewhere_go_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_vae(vae_options(data, tmp_path, steps=1))
    monkeypatch.chdir(data.parent)
    train_vae(vae_options(Path(data.name), tmp_path, steps=2))
    train_vae(vae_options(copytree(data, tmp_path / "copy"), tmp_path, steps=3))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


@pytest.mark.parametrize("part", ["train", "heldout"])
def test_other_captions_are_another_run(tmp_path: Path, part: str) -> None:
    options = vae_options(picture_folder(tmp_path / "data"), tmp_path / "run", steps=1)
    train_vae(options)
    metadata = options.data / part / "metadata.jsonl"
    metadata.write_text(metadata.read_text().replace("a fox", "a wolf"))
    with pytest.raises(RequestError, match=r"data has not the pictures, captions and weights that the run in .* was"):
        train_vae(options)


def test_the_vae_may_not_change_under_a_denoiser(data: Path, vae: Path, tmp_path: Path) -> None:
    mine = tmp_path / "vae.safetensors"
    mine.write_bytes(vae.read_bytes())
    train_denoiser(denoiser_options(data, tmp_path / "run", mine, steps=1))
    train_vae(vae_options(data, tmp_path, steps=1, name="other"))
    with pytest.raises(SpaceMismatch, match=r"learns latents of custom-.* is now other-"):
        train_denoiser(denoiser_options(data, tmp_path / "run", mine, steps=2))


def test_a_damaged_checkpoint_is_one_sentence(data: Path, tmp_path: Path) -> None:
    options = vae_options(data, tmp_path, steps=1)
    train_vae(options)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for damaged in (b"", b"no checkpoint", whole[: len(whole) // 2]):
        (tmp_path / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(RequestError, match=r"checkpoint\.pt is damaged; bring it back"):
            train_vae(options)


def test_a_line_of_the_log_that_was_cut_short_is_dropped(data: Path, tmp_path: Path) -> None:
    train_vae(vae_options(data, tmp_path, steps=5))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    train_vae(vae_options(data, tmp_path, steps=10))
    assert [line["step"] for line in logged(tmp_path)] == [5, 5, 10, 10]


def test_an_output_that_cannot_be_written_is_refused_first(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot be made"):
        train_vae(vae_options(data, tmp_path / "file"))


def test_a_new_start_learns_its_tokenizer_anew(vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that died before its first checkpoint leaves a tokenizer.json of captions that may since have changed."""
    options = denoiser_options(picture_folder(tmp_path / "data"), tmp_path / "run", vae, steps=1)
    options.output.mkdir()
    (options.output / "tokenizer.json").write_text("of another run")
    assert (train_denoiser(options) / "tokenizer.json").exists()
