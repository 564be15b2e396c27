"""Each case of the benchmark computes the same on both sides."""

from pathlib import Path

import pytest
from benchmarks.cases import CASES, QUICK
from benchmarks.contest import hold
from tests.tiny_model import tiny_folder, tiny_parts

from fictile.checkpoint import save_model
from fictile.errors import RequestError
from fictile.schedule import Flow


@pytest.mark.parametrize(
    ("case", "precision"),
    [(case, "float32") for case in CASES] + [(case, "bf16") for case in CASES if not case.endswith("openvino")],
)
def test_both_sides_compute_the_same(case: str, precision: str, tmp_path: Path) -> None:
    save_model(tiny_parts(schedule=Flow(shift=2.0), prediction="flow"), tmp_path)
    outcome = hold(CASES[case](precision, QUICK, tmp_path), rounds=1)
    assert (outcome.case, outcome.precision) == (case, precision)
    assert len(outcome.peers) == 2


def test_a_model_that_is_no_flow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no flow model"):
        CASES["packaged"]("float32", QUICK, tiny_folder(tmp_path))
