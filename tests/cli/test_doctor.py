"""`fictile doctor`: a page for someone who asks why it is slow."""

import json
from pathlib import Path

import pytest
from tests.cli.command_line import Run

from fictile.engine.machine import cpu_instructions


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fictile.engine.doctor.SECONDS", 0.0)


def test_the_page_names_machine_choice_and_hindrances(run: Run, tiny: Path) -> None:
    found = run("doctor", "--model", tiny, "--device", "cpu", "--precision", "float32")
    assert found.code == 0
    for word in (
        "processor",
        "memory",
        "precision",
        "threads",
        "TFLOP/s in float32",
        "a picture",
        "Optional parts",
        "--speed fast",
    ):
        assert word in found.stdout
    assert ("bf16 in hardware" in found.stderr) == (not {"amx", "avx512_bf16"} & set(cpu_instructions()))


def test_programs_get_every_figure(run: Run, tiny: Path) -> None:
    found = json.loads(run("doctor", "--model", tiny, "--json").stdout)
    assert found["seconds_for_a_picture"] > 0
    assert found["machine"]["cores"] >= 1
    assert {"device", "precision", "speeds", "findings"} <= set(found)


def test_a_picture_is_compared_with_the_reference(run: Run, tiny: Path) -> None:
    run("generate", "a fox", "--model", tiny, "--seed", 1, "--precision", "float32", "--device", "cpu", "-o", "fox.png")
    found = json.loads(run("doctor", "--recipe", "fox.png", "--model", tiny, "--json").stdout)
    assert found["largest"] <= 1
    assert found["psnr"] is None or found["psnr"] > 40
    shown = run("doctor", "--recipe", "fox.png", "--model", tiny)
    assert "largest difference" in shown.stdout


def test_a_picture_without_recipe_is_refused(run: Run, photo: Path) -> None:
    assert run("doctor", "--recipe", photo).code == 2
