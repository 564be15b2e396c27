"""The command line as its user meets it: arguments in; exit code, stdout and stderr out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.command_line import Outcome, Run
from tests.tiny_model import tiny_folder

from fictile.cli import main


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny untrained model: 32x32 pixels, multiples of 8."""
    return tiny_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the commands run in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command line through the real entry point, in the folder `here`."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(left.value.code or 0), captured.out, captured.err)

    return command


@pytest.fixture
def photo(here: Path) -> Path:
    """A smooth picture of 40x24 pixels."""
    rows, columns = np.mgrid[0:24, 0:40]
    pixels = np.stack([rows * 10, columns * 6, 255 - rows * 5], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save("photo.png")
    return Path("photo.png")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    """What commands keep goes nowhere else."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
