"""What stable-diffusion.cpp is measured by: the difference of two pictures is steps, and what is left is not."""

from collections.abc import Callable

import pytest
from benchmarks import contest, cpp


def test_a_step_is_told_from_the_rest_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def side(step: float, rest: float) -> Callable[[int], object]:
        def draw(steps: int) -> None:
            now[0] += rest + steps * step

        return draw

    def clocked(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
        return contest.alternate(runs, rounds, clock=lambda: now[0])

    monkeypatch.setattr(cpp, "alternate", clocked)
    found = cpp.measure({"ours": side(2.0, 3.0), "theirs": side(7.0, 1.0)}, rounds=2)
    assert found == {"ours": ([2.0, 2.0], [3.0, 3.0]), "theirs": ([7.0, 7.0], [1.0, 1.0])}
