"""How the packaged model's guidance is chosen."""

from pathlib import Path

import guidance
import pytest
from build_dataset import build
from tests.tiny_model import tiny_parts

import fictile
from fictile.denoiser import Guidance
from fictile.errors import RequestError
from fictile.model import Model


@pytest.mark.usefixtures("no_packages")
def test_every_setting_is_a_line_and_equal_settings_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "data", 32, ["3d", "flat"], tmp_path, limit=1000)
    monkeypatch.setattr(fictile, "load", lambda _: Model(tiny_parts()))  # pyright: ignore[reportUnknownLambdaType]
    settings = [Guidance(scale=9.0), Guidance(scale=1.0), Guidance(scale=9.0, interval=(0.5, 0.5))]
    head, rule, *lines = guidance.measure(tmp_path / "data", None, 3, settings)
    assert head.count("|") == rule.count("|") == 7
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [line[:3] for line in cells] == [
        ["9.0", "0.0", "0.0 to 1.0"],
        ["1.0", "0.0", "0.0 to 1.0"],
        ["9.0", "0.0", "0.5 to 0.5"],
    ]
    assert cells[1][3:] == cells[2][3:] != cells[0][3:]  # guidance that never acts is none
    assert all(line[3].endswith("%") and line[4].endswith("%") for line in cells)


def test_a_folder_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no data set"):
        guidance.measure(tmp_path, None, 3)
