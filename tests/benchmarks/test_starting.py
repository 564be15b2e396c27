"""Processes that are started to be measured do what they are said to do; no time is asserted."""

import pytest
from benchmarks.cases import QUICK
from benchmarks.starting import CASES, hold_starts


@pytest.mark.parametrize("case", CASES)
def test_processes_end_well(case: str) -> None:
    outcome = hold_starts(case, "float32", QUICK, rounds=1)
    assert (outcome.case, outcome.peers) == (case, {})
    assert len(outcome.fictile.seconds) == 1
