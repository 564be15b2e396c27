"""The benchmark's arithmetic, and that it refuses to time results that differ. No time is asserted: machines differ."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.contest import Contest, Outcome, Parity, Run, Side, Unequal, alternate, compare, hold
from benchmarks.machine import Machine
from benchmarks.plot import draw
from benchmarks.report import BEGIN, END, markdown, publish, rows, write_json
from torch import Tensor

MACHINE = Machine(
    date="2026-01-02 03:04",
    cpu="Abacus (R) 9",
    cores=2,
    flags=("avx2",),
    memory=16.0,
    system="Linux",
    versions={"torch": "2"},
    threads=2,
    load=0.0,
)


def side(*seconds: float) -> Side:
    return Side(seconds=list(seconds), memory=None)


def outcome() -> Outcome:
    return Outcome(
        case="a case",
        precision="float32",
        job="a job",
        fictile=side(1.0, 2.0, 9.0),
        peers={
            "diffusers, slow": side(9.0, 8.0, 9.0),
            "diffusers, fast": side(2.0, 4.0, 6.0),
            "another": side(1.0, 1.0, 1.0),
        },
        parity={name: Parity(largest=0.5, relative=0.25) for name in ("diffusers, slow", "diffusers, fast", "another")},
    )


def test_peers_are_the_faster_settings_and_ratios_are_taken_within_rounds() -> None:
    one = outcome()
    assert one.fictile.median == 2.0
    assert one.fastest == ["diffusers, fast", "another"]
    assert one.ratios("diffusers, fast") == [0.5, 0.5, 1.5]
    assert one.ratio("diffusers, fast") == 0.5
    assert one.ratio("another") == 2.0


def test_contestants_take_turns() -> None:
    turns: list[str] = []
    clock = iter([0.0, 1.0, 10.0, 13.0, 20.0, 22.0, 30.0, 34.0])

    def turn(name: str) -> Callable[[], None]:
        return lambda: turns.append(name)

    seconds = alternate({"a": turn("a"), "b": turn("b")}, 2, lambda: next(clock))
    assert turns == ["a", "b", "a", "b"]
    assert seconds == {"a": [1.0, 2.0], "b": [3.0, 4.0]}


def test_parity_is_the_largest_and_the_relative_difference() -> None:
    one = compare(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0]))
    assert one == Parity(largest=1.0, relative=0.2)


@pytest.mark.parametrize("wrong", [torch.tensor([1.0, 2.01]), torch.tensor([1.0, torch.nan])])
def test_results_that_differ_are_not_timed(wrong: Tensor) -> None:
    with pytest.raises(Unequal, match="nothing was measured"):
        hold(contest(lambda: torch.tensor([1.0, 2.0]), lambda: wrong), 1)


def test_a_contest_is_measured_on_both_sides() -> None:
    one = hold(contest(lambda: torch.ones(2), lambda: torch.ones(2)), 3)
    assert len(one.fictile.seconds) == len(one.peers["peer"].seconds) == len(one.ratios("peer")) == 3
    assert one.parity["peer"] == Parity(largest=0.0, relative=0.0)


def contest(ours: Run, theirs: Run) -> Contest:
    return Contest(case="a case", precision="float32", job="a job", fictile=ours, peers={"peer": theirs})


def test_the_table_and_the_file(tmp_path: Path) -> None:
    path = write_json(MACHINE, [outcome()], tmp_path)
    assert path.name == "2026-01-02-03-04-abacus-r-9-2-cores.json"
    (written,) = json.loads(path.read_text(encoding="utf-8"))["outcomes"]
    assert written["ratios"]["diffusers, fast"] == [0.5, 0.5, 1.5]
    text = markdown(MACHINE, [outcome()])
    assert "| a case | float32 | 2.00 s | 4.00 s (diffusers, fast) | 0.500 | 0.500 to 1.500 | ? / ? | 0.5 |" in text
    assert "| a case | float32 | 2.00 s | 1.00 s (another) | 2.000 | 1.000 to 9.000 | ? / ? | 0.5 |" in text

    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    publish(text, page)
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\n{text}\n{END}\nafter\n"


def test_who_has_no_peer_stands_alone() -> None:
    alone = replace(outcome(), peers={}, parity={})
    assert rows(alone) == [("a case", "float32", "2.00 s", "", "", "", "", "")]


def test_the_plot_has_a_bar_for_each_program(tmp_path: Path) -> None:
    draw(MACHINE, [outcome()], tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_bytes()
    assert drawn.startswith(b"<?xml")
    draw(MACHINE, [outcome()], tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == drawn
    draw(MACHINE, [replace(outcome(), peers={"another": side(1.0, 1.0, 1.0)})], tmp_path / "one.svg")
    assert len((tmp_path / "one.svg").read_bytes()) < len(drawn)
