"""Wrong requests: one clear sentence, exit code 2, and nothing written."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile, copytree
from typing import NoReturn

import pytest
import torch
from tests.cli.command_line import Run

from fictile.cli.terminal import Work
from fictile.latent import Latent, LatentSpace
from fictile.picture import load_picture, read_text, save_picture


def files(folder: Path) -> dict[str, bytes]:
    """Everything in the folder, hidden files included."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


Refused = Callable[..., str]


@pytest.fixture
def refused(run: Run, here: Path) -> Refused:
    """Runs a command that must be refused, and gives the sentence it was refused with."""

    def command(*arguments: object) -> str:
        before = files(here)
        outcome = run(*arguments)
        assert outcome.code == 2, outcome
        assert files(here) == before
        return outcome.sentence

    return command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([" "], ["prompt is empty"]),
        (["fox " * 40], ["tokens"]),
        (["fox", "--negative", "fox " * 40], ["tokens"]),
        (["fox", "--size", "36"], ["36x36", "multiples of 8", "32x32", "40x40"]),
        (["fox", "--size", "0"], ["0x0", "8x8"]),
        (["fox", "--size", "big"], ["'big'", "WIDTHxHEIGHT"]),
        (["fox", "--size", "32x"], ["'32x'", "WIDTHxHEIGHT"]),
        (["fox", "--steps", 0], ["0 steps", "1"]),
        (["fox", "--steps", -3], ["-3 steps"]),
        (["fox", "--sampler", "dpmp_2m"], ["'dpmp_2m'", "nearest is 'dpmpp_2m'"]),
        (["fox", "--schedule", "karass"], ["'karass'", "nearest is 'karras'"]),
        (["fox", "--seed", -1], ["-1"]),
        (["fox", "--guidance", "nan"], ["nan"]),
        (["fox", "--guidance-interval", "0.2"], ["'0.2' is no interval", "0.15-0.85"]),
        (["fox", "--guidance-interval", "0.8-0.2"], ["interval is 0.8 to 0.2", "two rising numbers"]),
        (["fox", "--guidance-interval", "0.2-15"], ["interval is 0.2 to 15.0", "from 0 to 1"]),
        (["fox", "--device", "abacus"], ["'abacus'"]),
        (["fox", "--precision", "fp17"], ["'fp17'", "fp16"]),
        (["fox", "--backend", "openvin"], ["'openvin'", "nearest is 'openvino'"]),
        (["fox", "--backend", "reference", "--precision", "bf16"], ["float32", "leave the precision out"]),
        (["fox", "--speed", "warp"], ["'warp'", "exact, fast, faster, fastest"]),
        (["fox", "--speed", "fast", "--backend", "reference"], ["reference", "speed exact"]),
        (["fox", "--from", "absent.png"], ["absent.png"]),
        (["fox", "--from", "photo.png", "--strength", -0.5], ["-0.5"]),
        (["fox", "--from", "photo.png", "--strength", "nan"], ["Strength nan"]),
        (["fox", "--from", "photo.png", "--strength", "inf"], ["Strength inf"]),
        (["fox", "--from", "photo.png", "--size", 32], ["32x32", "40x24"]),
    ],
)
def test_generate_refuses(refused: Refused, tiny: Path, photo: Path, arguments: list[object], words: list[str]) -> None:
    assert photo.is_file()
    sentence = refused("generate", *arguments, "-m", tiny)
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize("command", ["encode", "roundtrip", "generate fox --from", "replay"])
def test_a_picture_must_be_one(refused: Refused, tiny: Path, photo: Path, command: str) -> None:
    Path("notes.png").write_text("no picture at all")
    Path("half.png").write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    for name in ("notes.png", "half.png", "absent.png", "."):
        assert name in refused(*command.split(), name, "-m", tiny)


def test_replay_needs_a_recipe_and_its_model(run: Run, refused: Refused, tiny: Path, photo: Path, here: Path) -> None:
    assert "no recipe" in refused("replay", photo, "-m", tiny)
    run("generate", "fox", "-m", tiny, "-o", "fox.png")
    other = copytree(tiny, here / "other")
    (other / "model.json").write_text((other / "model.json").read_text().replace('"tiny"', '"other"'))
    assert "tiny" in refused("replay", "fox.png", "-m", other)


@pytest.mark.parametrize(
    ("old", "new"), [('"strength": 1.0', '"strength": NaN'), ('"sampler": "dpmpp_2m"', '"sampler": "dmpp"')]
)
def test_an_edited_recipe_is_refused(run: Run, refused: Refused, tiny: Path, old: str, new: str) -> None:
    run("generate", "fox", "-m", tiny, "-o", "fox.png")
    recipe = read_text("fox.png")["fictile"]
    assert old in recipe
    save_picture(load_picture("fox.png").pixels, "edited.png", {"fictile": recipe.replace(old, new)})
    refused("replay", "edited.png", "-m", tiny)


@pytest.mark.parametrize("command", ["generate fox", "encode photo.png", "roundtrip photo.png"])
@pytest.mark.parametrize("fault", ["no folder", "no model", "missing", "truncated", "pickle", "foreign"])
def test_a_model_must_be_whole(refused: Refused, tiny: Path, photo: Path, here: Path, command: str, fault: str) -> None:
    assert photo.is_file()
    model = copytree(tiny, here / "model")
    weights = model / "vae.safetensors"
    match fault:
        case "no folder":
            model = here / "absent"
        case "no model":
            (model / "model.json").unlink()
        case "missing":
            weights.unlink()
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "pickle":
            torch.save({"weight": torch.zeros(1)}, weights)
        case _:
            weights.write_bytes((model / "text.safetensors").read_bytes())
    sentence = refused(*command.split(), "-m", model)
    whole = fault.startswith("no") or (fault, command) == ("foreign", "roundtrip photo.png")
    assert str(model if whole else weights) in sentence


def test_a_latent_must_be_whole_and_of_the_space(run: Run, refused: Refused, tiny: Path, photo: Path) -> None:
    Latent(torch.zeros(1, 4, 8, 8), LatentSpace(id="sdxl", channels=4, factor=8)).save("foreign.latent.safetensors")
    sentence = refused("decode", "foreign.latent.safetensors", "-m", tiny)
    assert "sdxl" in sentence
    assert "tiny-" in sentence
    run("encode", photo, "-m", tiny, "-o", "own.latent.safetensors")
    Path("half.latent.safetensors").write_bytes(Path("own.latent.safetensors").read_bytes()[:-9])
    for path in (Path("half.latent.safetensors"), Path("absent.latent.safetensors"), photo, tiny / "vae.safetensors"):
        assert str(path) in refused("decode", path, "-m", tiny)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("generate fox", "fox.png"),
        ("encode photo.png", "photo.latent.safetensors"),
        ("roundtrip photo.png", "back.png"),
        ("decode grey.latent.safetensors", "back.png"),
        ("replay fox.png", "back.png"),
    ],
)
def test_the_output_must_be_writable(refused: Refused, tiny: Path, photo: Path, command: str, name: str) -> None:
    """Found out before anything is computed, so the replayed picture need not exist."""
    Latent(torch.zeros(1, 4, 8, 8), LatentSpace(id="sdxl", channels=4, factor=8)).save("grey.latent.safetensors")
    for folder in ("absent", photo, "/proc"):
        assert str(folder) in refused(*command.split(), "-m", tiny, "-o", Path(folder) / name)


def test_the_output_must_be_of_the_right_kind(refused: Refused, tiny: Path, photo: Path) -> None:
    assert ".xcf" in refused("generate", "fox", "-m", tiny, "-o", "fox.xcf")
    assert ".latent.safetensors" in refused("encode", photo, "-m", tiny, "-o", "photo.pt")


def test_roundtrip_refuses(refused: Refused, tiny: Path, photo: Path, here: Path) -> None:
    assert ".html" in refused("roundtrip", photo, "-m", tiny, "--report", "report.pdf")
    assert "'fp8'" in refused("roundtrip", photo, "-m", tiny, "--precision", "fp8")
    assert "'rows'" in refused("roundtrip", photo, "-m", tiny, "--tiling", "rows")
    (here / "empty").mkdir()
    assert "empty" in refused("roundtrip", "empty", "-m", tiny)
    (here / "empty").rmdir()
    copyfile(photo, "other.png")
    assert "give a folder" in refused("roundtrip", photo, "other.png", "-m", tiny, "-o", "back.png")


def test_wrong_usage(run: Run) -> None:
    for arguments in (["generate"], ["genrate", "fox"], ["generate", "fox", "-n", "0"], ["generate", "fox", "--bogus"]):
        outcome = run(*arguments)
        assert (outcome.code, outcome.stdout) == (2, "")
        assert "Traceback" not in outcome.stderr


def test_what_nobody_foresaw_is_one_sentence_too(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> NoReturn:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("fictile.checkpoint.inspect_file", broken)
    outcome = run("inspect", here)
    assert outcome.code == 1
    assert "ZeroDivisionError: by zero" in outcome.sentence
    assert "Traceback" in run("--debug", "inspect", here).stderr


def test_interrupted_while_denoising(run: Run, here: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press_ctrl_c(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    def denoising(*_: object) -> Callable[..., None]:
        return press_ctrl_c

    monkeypatch.setattr(Work, "denoising", denoising)
    outcome = run("generate", "fox", "-m", tiny)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (130, "", "Stopped; nothing is left half written.\n")
    assert not files(here)


@pytest.mark.parametrize("command", ["generate fox", "encode photo.png", "roundtrip photo.png -o back.png"])
def test_interrupted_while_writing(
    run: Run, here: Path, tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """At the last moment: the temporary file is whole, but does not yet have its name."""

    def press_ctrl_c(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("os.replace", press_ctrl_c)
    assert run(*command.split(), "-m", tiny).code == 130
    assert files(here).keys() == {str(here / photo)}


def test_a_real_process_ends_with_130(here: Path, tiny: Path) -> None:
    """The signal comes from outside, as soon as the command says on stdout that it is at work."""
    code = (
        "from fictile.cli import main\nfrom fictile.cli.terminal import Work\n"
        "Work.denoising = lambda *_: lambda index, *_: print(index, flush=True)\nmain()"
    )
    arguments = ["generate", "fox", "--steps", "1000", "-m", str(tiny)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == "Stopped; nothing is left half written.\n"
    assert process.returncode == 130
    assert not files(here)
