"""What stands in the way of speed, on machines that are and that are not this one."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fictile.engine import Machine, Runtime, choose_runtime, examine, this_machine
from fictile.engine.doctor import faster, findings

GOOD = Machine(
    cpu="a processor",
    cores=4,
    instructions=("avx2", "avx512", "avx512_bf16", "amx"),
    memory=32 << 30,
    free=24 << 30,
    accelerators=(),
    load=0.1,
    system="Linux",
)
CPU = Runtime(device=torch.device("cpu"), dtype=torch.bfloat16, decode_dtype=torch.float32, threads=4)
FLOAT32 = replace(CPU, dtype=torch.float32)
SPEEDS = {"float32": 0.2, "bf16": 1.1}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert findings(CPU, GOOD, SPEEDS) == ()


@pytest.mark.parametrize(
    ("runtime", "machine", "speeds", "seen"),
    [
        (CPU, replace(GOOD, accelerators=("RTX",)), SPEEDS, "The CPU is used, although there is RTX"),
        (replace(CPU, dtype=torch.float32), GOOD, SPEEDS, "bf16 multiplies 5.5 times as fast here as float32"),
        (CPU, replace(GOOD, load=3.5), SPEEDS, "3.5 processes wanted to run in the last minute, on 4 cores"),
        (replace(CPU, threads=1), GOOD, SPEEDS, "1 thread is used on 4 cores"),
        (replace(CPU, threads=2), GOOD, SPEEDS, "2 threads are used on 4 cores"),
        (FLOAT32, replace(GOOD, instructions=("avx2",)), {"float32": 0.2}, "does not multiply bf16 in hardware"),
        (CPU, replace(GOOD, free=2 << 30), SPEEDS, "Only 2.0 GiB of 32.0 GiB of memory are free"),
    ],
)
def test_each_hindrance_is_named_alone(runtime: Runtime, machine: Machine, speeds: dict[str, float], seen: str) -> None:
    (found,) = findings(runtime, machine, speeds)
    assert seen in found.seen
    assert found.advice


def test_what_hinders_a_cpu_is_no_matter_on_a_gpu() -> None:
    gpu = replace(CPU, device=torch.device("cuda"), threads=1)
    assert findings(gpu, replace(GOOD, load=9.0, instructions=(), accelerators=("RTX",)), {"bf16": 100.0}) == ()


@pytest.mark.parametrize(("threads", "load", "wanted"), [(4, 3.5, 1), (4, 2.4, 2), (2, 2.4, None), (1, 9.0, None)])
def test_on_a_busy_machine_no_more_threads_than_cores_are_left(threads: int, load: float, wanted: int | None) -> None:
    (found,) = findings(replace(CPU, threads=threads), replace(GOOD, load=load), SPEEDS)
    assert "close them" in found.advice
    assert ("OMP_NUM_THREADS" in found.advice) == (wanted is not None)
    assert wanted is None or f"OMP_NUM_THREADS={wanted}:" in found.advice


@pytest.mark.parametrize(("installed", "how"), [(True, "doctor --backend openvino"), (False, "pip install")])
def test_says_what_openvino_would_give_here(installed: bool, how: str) -> None:
    assert how in faster(FLOAT32, openvino=installed, compiling=False)["--backend openvino"]
    for there in (replace(CPU, device=torch.device("cuda")), replace(CPU, dtype=torch.float16)):
        assert "--backend openvino" not in faster(there, openvino=installed, compiling=False)


def test_offers_to_compile_where_that_can_be_done() -> None:
    assert "doctor --backend compiled" in faster(FLOAT32, openvino=False, compiling=True)["--backend compiled"]
    assert "--backend compiled" not in faster(FLOAT32, openvino=False, compiling=False)
    gpu = replace(CPU, device=torch.device("cuda"))  # nobody has measured it there
    assert "--backend compiled" not in faster(gpu, openvino=False, compiling=True)


def test_offers_nothing_that_would_be_refused() -> None:
    for backend in ("compiled", "openvino", "reference"):
        assert list(faster(replace(FLOAT32, backend=backend), openvino=True, compiling=True)) == [
            "--guidance-interval 0.15-0.85"
        ]


def test_the_figures_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "speed.md").read_text(encoding="utf-8")
    for gain in faster(FLOAT32, openvino=True, compiling=True).values():
        figures = re.findall(r"\d+\.\d+(?: dB)?|\d+ to \d+ %", gain)
        assert figures
        assert all(figure in page for figure in figures), gain


def test_this_machine_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fictile.engine.doctor.matrix_speed", lambda device, dtype: 1.0)  # pyright: ignore[reportUnknownLambdaType]
    found = examine(replace(CPU, dtype=torch.float32))
    here = this_machine()
    assert (found.machine.cpu, found.machine.cores, found.machine.memory) == (here.cpu, here.cores, here.memory)
    assert 0 < here.free <= here.memory
    assert found.speeds == {"float32": 1.0, "bf16": 1.0}
    assert set(found.extras) == {"gguf", "hub", "openvino", "train"}
    assert found.why == (
        "it was asked for" if {"amx", "avx512_bf16"} & set(here.instructions) else "the CPU has no faster one"
    )


def test_a_matrix_product_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from fictile.engine import doctor

    monkeypatch.setattr(doctor, "SIDE", 32)
    monkeypatch.setattr(doctor, "SECONDS", 0.01)
    assert 0 < doctor.matrix_speed(torch.device("cpu"), torch.float32) < 100


@pytest.mark.parametrize(("backend", "said"), [("auto", "wide ones in float32"), ("reference", "direct")])
def test_the_way_of_convolutions_is_said(backend: str, said: str) -> None:
    told = examine(choose_runtime("cpu", "float32", backend)).convolutions
    assert told.rpartition("; ")[2].startswith(said)
