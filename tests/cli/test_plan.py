"""`fictile plan`, and the limit that others keep to."""

import json
from pathlib import Path

import pytest
from tests.cli.command_line import Run

from fictile.cli import options
from fictile.engine import Rates
from fictile.errors import RequestError


@pytest.fixture(autouse=True)
def _no_measurements(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    def calibrate(runtime: object, dtype: object) -> Rates:
        return Rates(
            matrix=1e9, convolution=1e9, attention=1e9, touched=1e9, fresh=1e9, calls=1e6, laid=1e9, hashed=1e9
        )

    monkeypatch.setattr("fictile.planning.plan.calibrate", calibrate)


def test_a_plan_is_shown_phase_by_phase_and_nothing_is_made(run: Run, tiny: Path, here: Path) -> None:
    outcome = run("plan", "a fox", "-m", tiny, "-n", 4)
    assert outcome.code == 0
    assert "4 pictures of 32x32 with tiny" in outcome.stdout
    for words in ("load the model", "read the prompt", "denoise, 4 evaluations", "decode", "the peak", "can be had"):
        assert words in outcome.stdout
    assert list(here.iterdir()) == []


def test_a_plan_for_programs(run: Run, tiny: Path) -> None:
    found = json.loads(run("plan", "a fox", "-m", tiny, "--size", "64x32", "--json").stdout)
    chosen = found["chosen"]
    assert found["size"] == [32, 64]
    assert chosen["peak"] == max(phase["memory"] for phase in chosen["phases"]) < found["room"]
    assert chosen["seconds"] == pytest.approx(sum(phase["seconds"] for phase in chosen["phases"]), abs=1e-3)


def test_guidance_in_an_interval_takes_less_time(run: Run, tiny: Path) -> None:
    always, never = (
        json.loads(run("plan", "a fox", "-m", tiny, "--json", *more).stdout)["chosen"]["seconds"]
        for more in ((), ("--guidance-interval", "0-0"))
    )
    assert never < always


def test_work_that_is_left_out_takes_less_time(run: Run, tiny: Path) -> None:
    exact, fast = (
        json.loads(run("plan", "a fox", "-m", tiny, "--json", "--speed", name).stdout)["chosen"]["seconds"]
        for name in ("exact", "fast")
    )
    assert fast < exact


def test_what_cannot_be_foretold_is_said(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fictile.engine.backend.find_spec", lambda name: name)  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]
    asked = ("plan", "a fox", "-m", tiny, "--backend", "openvino")
    assert "a plan for the eager back end" in run(*asked).stderr
    assert "eager" in json.loads(run(*asked, "--json").stdout)["reservation"]
    assert json.loads(run("plan", "a fox", "-m", tiny, "--json").stdout)["reservation"] is None
    refused = run(*asked, "--speed", "fast")
    assert refused.code == 2
    assert "choose the eager one" in refused.sentence


@pytest.mark.parametrize("command", ["plan", "generate"])
def test_what_cannot_fit_is_refused_before_anything(command: str, run: Run, tiny: Path, here: Path) -> None:
    outcome = run(command, "a fox", "-m", tiny, "--max-memory", "1MiB")
    assert outcome.code == 2
    assert "needs at least" in outcome.sentence
    assert list(here.iterdir()) == []


def test_with_a_limit_that_is_kept_the_picture_is_the_same(run: Run, tiny: Path, here: Path) -> None:
    assert run("generate", "a fox", "-m", tiny, "--seed", 1, "-o", "a.png").code == 0
    assert run("generate", "a fox", "-m", tiny, "--seed", 1, "--max-memory", "64GiB", "-o", "b.png").code == 0
    assert (here / "a.png").read_bytes() == (here / "b.png").read_bytes()


LIMITED = (
    "edit photo.png fox --box 0,0,8x8 -n 2",
    "edit photo.png fox --only-masked --box 8,8,8x8",
    "mix photo.png photo.png",
    "mix photo.png photo.png --refine 0.5 --prompt fox",
    "roundtrip photo.png --tiling auto",
)


@pytest.mark.parametrize("command", LIMITED)
def test_what_changes_pictures_keeps_to_a_limit_too(command: str, run: Run, tiny: Path, photo: Path) -> None:
    assert run(*command.split(), "-m", tiny, "--max-memory", "64GiB").code == 0


@pytest.mark.parametrize("command", LIMITED)
def test_what_changes_pictures_is_refused_where_it_cannot_fit(
    command: str, run: Run, tiny: Path, photo: Path, here: Path
) -> None:
    outcome = run(*command.split(), "-m", tiny, "--max-memory", "1MiB")
    assert outcome.code == 2
    assert "can be had" in outcome.sentence
    assert list(here.iterdir()) == [here / photo]


@pytest.mark.parametrize(
    ("text", "size"), [("6GiB", 6 << 30), ("800MB", 800_000_000), ("1.5 gib", 3 << 29), ("4096", 4096), ("2k", 2000)]
)
def test_sizes_of_memory_are_read_as_they_are_written(text: str, size: int) -> None:
    assert options.bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "0GiB", "-1GiB", "6 TiBs", "6,5GiB"])
def test_what_is_no_size_of_memory_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="such as 6GiB"):
        options.bytes_of(text)
