"""`--preview`: a file that shows the picture as it grows."""

from pathlib import Path

import pytest
from tests.cli.command_line import Run

from fictile.errors import FictileError
from fictile.picture import Picture, load_picture


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that previews have been written to, in order."""
    paths: list[Path] = []
    save = Picture.save

    def note(picture: Picture, path: str | Path, *, quick: bool = False) -> None:
        save(picture, path, quick=quick)
        paths.append(Path(path))

    monkeypatch.setattr(Picture, "save", note)
    return paths


def test_a_picture_is_watched_and_is_the_same(run: Run, tiny: Path, here: Path, saved: list[Path]) -> None:
    request = ("generate", "a fox", "-m", tiny, "--seed", 1, "-n", 3, "--steps", 5)
    assert run(*request, "-o", "plain.png").code == 0
    watched = run(*request, "-o", "fox.png", "--preview", "look.png", "--preview-every", 2)
    assert (watched.code, watched.stdout) == (0, "")
    assert "look.png  shows what it looks like so far, by colours that were fitted" in watched.stderr
    assert saved == [Path("look.png")] * 3  # steps 0, 2 and 4
    assert load_picture("look.png").pixels.shape == (3, 64, 64)  # four places for three pictures
    for number in (1, 2, 3):
        assert Path(f"fox-{number}.png").read_bytes() == Path(f"plain-{number}.png").read_bytes()
    assert len(list(here.iterdir())) == 7


def test_an_edit_is_watched_through_an_autoencoder(run: Run, tiny: Path, photo: Path, saved: list[Path]) -> None:
    request = ("edit", photo, "a fox", "-m", tiny, "--seed", 1, "--box", "0,0,16x16")
    assert run(*request, "-o", "plain.png").code == 0
    with_vae = ("--preview", "look.png", "--preview-vae", tiny / "vae.safetensors")
    outcome = run(*request, "-o", "out.png", *with_vae)
    assert (outcome.code, "through" in outcome.stderr) == (0, True)
    assert len(saved) == 4
    assert load_picture("look.png").pixels.shape == (3, 24, 40)
    assert Path("out.png").read_bytes() == Path("plain.png").read_bytes()


def test_a_preview_that_fails_stops_nothing(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def full(*_: object, **__: object) -> None:
        calls.append(1)
        raise FictileError("the disk is full")

    monkeypatch.setattr(Picture, "save", full)
    outcome = run("generate", "a fox", "-m", tiny, "-o", "fox.png", "--preview", "look.png")
    assert (outcome.code, len(calls)) == (0, 1)
    assert outcome.stderr.count("there are no more previews") == 1
    assert Path("fox.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preview-every", 2], "--preview-every says how"),
        (["--preview-vae", "vae.safetensors"], "--preview-vae says how"),
        (["--preview", "look.png", "--preview-every", 0], "every 0 steps"),
        (["--preview", "look.xcf"], ".xcf"),
        (["--preview", "absent/look.png"], "absent"),
        (["--preview", "fox.png"], "would replace fox.png, the result"),
        (["--preview", "./fox.png"], "would replace fox.png, the result"),
        (["--preview", "photo.png"], "would replace photo.png, what the run reads"),
        (["--preview", "look.png", "--preview-vae", "photo.png"], "photo.png"),
        (["--preview", "look.png", "--preview-vae", "absent.safetensors"], "absent.safetensors"),
    ],
)
@pytest.mark.parametrize("command", ["generate fox --from photo.png", "edit photo.png fox"])
def test_refused(
    run: Run, tiny: Path, photo: Path, here: Path, command: str, arguments: list[object], words: str
) -> None:
    outcome = run(*command.split(), "-m", tiny, "-o", "fox.png", *arguments)
    assert outcome.code == 2
    assert words in outcome.sentence
    assert list(here.iterdir()) == [here / photo]
