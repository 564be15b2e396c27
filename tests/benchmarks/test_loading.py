"""Both sides load the same model out of one file; no time is asserted."""

from benchmarks.cases import QUICK
from benchmarks.loading import CASE, SIDES, hold_loads


def test_both_sides_load_the_same() -> None:
    outcome = hold_loads("float32", QUICK, rounds=1)
    assert (outcome.case, outcome.precision) == (CASE, "float32")
    assert outcome.parity[SIDES[1]].largest == 0
    assert outcome.fictile.seconds[0] > 0
