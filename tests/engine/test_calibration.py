"""Rates are measured once, and kept."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fictile.engine import Rates, Work, calibrate, calibration, choose_runtime

RATES = Rates(matrix=100.0, convolution=50.0, attention=20.0, touched=10.0, fresh=4.0, calls=5.0, laid=2.0, hashed=8.0)


def test_seconds_are_those_of_all_that_is_done() -> None:
    assert (
        RATES.seconds(Work(matrix=100, convolution=50, attention=10, touched=10, fresh=4, calls=10, laid=1, hashed=4))
        == 7.5
    )
    assert RATES.seconds(Work(memory=10**9)) == 0


def test_rates_are_measured_once_for_each_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[torch.dtype]()

    def measure(device: torch.device, dtype: torch.dtype) -> Rates:
        asked.append(dtype)
        return replace(RATES, matrix=float(len(asked)))

    monkeypatch.setattr(calibration, "measure", measure)
    path, runtime = tmp_path / "deep" / "rates.json", choose_runtime("cpu")
    first = [calibrate(runtime, dtype, path) for dtype in (torch.float32, torch.bfloat16)]
    again = [calibrate(runtime, dtype, path) for dtype in (torch.float32, torch.bfloat16)]
    assert first == again
    assert asked == [torch.float32, torch.bfloat16]
    assert calibrate(replace(runtime, threads=runtime.threads + 1), torch.float32, path) not in first


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"a": 1}', "no json"])
def test_a_damaged_file_is_measured_again(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(device: object, dtype: object) -> Rates:
        return RATES

    monkeypatch.setattr(calibration, "measure", measure)
    path = tmp_path / "rates.json"
    path.write_text(content)
    assert calibrate(choose_runtime("cpu"), torch.float32, path) == RATES
    assert calibrate(choose_runtime("cpu"), torch.float32, path) == RATES


def test_all_that_is_measured_is_a_rate() -> None:
    assert min(vars(calibration.measure(torch.device("cpu"), torch.float32)).values()) > 0


def test_with_one_thread_what_other_programs_take_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def late() -> None:
        time.sleep(0.03)  # as a program that waits for its turn

    threads = torch.get_num_threads()
    monkeypatch.setattr(calibration, "TRIES", 2)
    monkeypatch.setattr(calibration, "MOST", 2)
    try:
        torch.set_num_threads(1)
        assert calibration._fastest(late) < 0.01  # pyright: ignore[reportPrivateUsage]
        torch.set_num_threads(2)
        assert calibration._fastest(late) > 0.01  # pyright: ignore[reportPrivateUsage]
    finally:
        torch.set_num_threads(threads)
