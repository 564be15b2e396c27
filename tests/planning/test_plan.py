"""The choice between ways to run a request."""

from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from tests.tiny_model import tiny_folder

from fictile.checkpoint import Parts
from fictile.checkpoint.folder import PACKAGED
from fictile.engine import Rates, choose_runtime
from fictile.errors import RequestError
from fictile.planning import make_plan, outline, plan, prepare, request_for
from fictile.planning.forecast import at_most

MIB = 2**20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return outline(tiny_folder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(autouse=True)
def _no_measurements(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    def calibrate(runtime: object, dtype: object) -> Rates:
        return Rates(
            matrix=1e9, convolution=1e9, attention=1e9, touched=1e9, fresh=1e9, calls=1e6, laid=1e9, hashed=1e9
        )

    monkeypatch.setattr("fictile.planning.plan.calibrate", calibrate)


def test_with_plenty_of_memory_nothing_is_done_otherwise(tiny: Parts) -> None:
    found = make_plan(
        tiny, request_for(tiny, "a fox", count=4, tiling="off"), choose_runtime("cpu", "float32"), process=0
    )
    assert found.chosen is found.plain
    assert (found.differences, found.group, found.tiling, found.lines(verbose=False)) == ((), None, "off", [])
    assert len(found.lines(verbose=True)) == 4


def test_of_what_fits_the_fastest_is_chosen_and_said(tiny: Parts) -> None:
    request = request_for(tiny, "a fox", count=8, size=(256, 256), tiling="off")
    whole = make_plan(tiny, request, choose_runtime("cpu", "float32"), process=0)
    limit = whole.plain.peak.memory - MIB
    found = make_plan(tiny, request, choose_runtime("cpu", "float32", max_memory=limit), process=0)
    assert found.chosen.peak.memory <= limit < found.plain.peak.memory
    fitting = [one for one in found.others if one.peak.memory <= limit]
    assert found.chosen.seconds == min(one.seconds for one in fitting)
    assert found.lines(verbose=False) == [f"To fit into {plan.in_words(limit)}: {', '.join(found.differences)}."]


def test_what_cannot_fit_is_refused_with_what_would(tiny: Parts) -> None:
    large = request_for(tiny, "a fox", count=2, size=(512, 512), tiling="off")
    small = make_plan(tiny, replace(large, size=(256, 256), count=1), choose_runtime("cpu", "float32"), process=0)
    runtime = choose_runtime("cpu", "float32", max_memory=small.plain.peak.memory + MIB)
    with pytest.raises(RequestError, match=r"2 pictures of 512x512 with tiny needs at least .* one of 256x256 would"):
        make_plan(tiny, large, runtime, process=0)
    with pytest.raises(RequestError, match="can be had; allow more, or take a smaller model"):
        make_plan(tiny, large, choose_runtime("cpu", "float32", max_memory=MIB), process=0)


def test_no_way_takes_more_than_the_bound_that_needs_no_counting(tiny: Parts) -> None:
    with as_file(files("fictile") / "builtin" / PACKAGED) as folder:
        packaged = outline(folder)
    for parts, size, count in ((tiny, None, 1), (tiny, (64, 32), 5), (packaged, (512, 256), 2)):
        request = request_for(parts, "a fox", count=count, size=size)
        planned = make_plan(parts, request, choose_runtime("cpu", "float32"), process=0, thorough=False)
        assert planned.plain.peak.memory <= at_most(parts, request)


def test_what_is_small_is_not_counted(tiny: Parts) -> None:
    assert prepare(tiny, request_for(tiny, "a fox"), choose_runtime("cpu", "float32")) is None


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_has_to_be_one(limit: int) -> None:
    with pytest.raises(RequestError, match="give a size such as 6GiB"):
        choose_runtime("cpu", "float32", max_memory=limit)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [({"count": 0}, "make 1 or more"), ({"size": (30, 32)}, "makes multiples of 8; choose 32x24 or 32x32")],
)
def test_what_the_model_cannot_be_asked_is_refused(tiny: Parts, asked: dict[str, int], problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        make_plan(tiny, request_for(tiny, "a fox", **asked), choose_runtime("cpu", "float32"))  # pyright: ignore[reportArgumentType]


def test_paths_are_only_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="does not exist"):
        outline(tmp_path / "nothing")


def test_names_are_those_that_a_model_takes(tiny: Parts) -> None:
    asked = request_for(tiny, "a fox", sampler="DPM++ 2M Karras", schedule="Automatic")
    assert (asked.sampler, asked.schedule) == ("dpmpp_2m", "karras")
    assert request_for(tiny, "a fox", schedule="automatic").schedule == tiny.defaults.schedule


def test_networks_are_let_go_before_anything_is_made_slower(tiny: Parts) -> None:
    request = request_for(tiny, "a fox", count=2, size=(256, 256))
    whole = make_plan(tiny, request, choose_runtime("cpu", "float32"), process=0)
    limit = whole.plain.peak.memory - 1
    found = make_plan(tiny, request, choose_runtime("cpu", "float32", max_memory=limit), process=0)
    assert (found.once, found.group, found.tiling, whole.once) == (True, None, "auto", False)
    assert found.differences == ("let each network go after its last use",)
    assert found.chosen.seconds == found.plain.seconds


def test_a_limit_that_cannot_be_promised_is_never_passed_over(tiny: Parts) -> None:
    request, runtime = request_for(tiny, "a fox"), choose_runtime("cpu", "float32", max_memory=2**40)
    assert prepare(tiny, request, runtime) is None
    planned = prepare(tiny, request, replace(runtime, backend="openvino"))
    assert planned is not None
    assert planned.lines(verbose=False) == [plan.UNKNOWN["openvino"]]


def test_one_by_one_is_planned_so_and_nothing_is_said_of_it(tiny: Parts) -> None:
    request = request_for(tiny, "a fox", count=3, size=(128, 128))
    eager = make_plan(tiny, request, choose_runtime("cpu", "float32"), process=0)
    reference = make_plan(tiny, request, choose_runtime("cpu", backend="reference"), process=0)
    assert (reference.group, reference.differences) == (None, ())
    assert reference.chosen.phases[2].memory < eager.chosen.phases[2].memory
