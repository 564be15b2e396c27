import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from fictile.engine import BACKENDS, Job, choose_backend, choose_runtime
from fictile.errors import RequestError

CPU = torch.device("cpu")


def found(_: str) -> object:
    return object()


def missing(_: str) -> None:
    return None


def test_torch_runs_a_network_unless_another_is_named() -> None:
    runtime, network = choose_runtime("cpu"), nn.Linear(2, 2)
    assert runtime.backend == "eager"
    assert runtime.runner().ready(Job(network=network, example=[])) is network


def test_the_reference_is_float32_and_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)  # where "auto" is bf16 otherwise
    reference = choose_runtime("cpu", backend="reference")
    assert (reference.precision, reference.one_by_one) == ("float32", True)
    assert not choose_runtime("cpu").one_by_one


@pytest.mark.parametrize(
    ("name", "device", "precision", "message"),
    [
        ("openvin", "cpu", "float32", "no back end 'openvin'.*the nearest is 'openvino'"),
        ("reference", "cpu", "bf16", "runs in float32 and bf16 was asked for; leave the precision out"),
        ("openvino", "cpu", "fp16", "float32 or bf16 on CPUs and Intel GPUs, not in fp16 on cpu"),
        ("openvino", "cuda", "bf16", "not in bf16 on cuda"),
        ("compiled", "mps", "fp16", "compiled back end runs on CPUs and CUDA of Linux and macOS, not on mps: choose"),
    ],
)
def test_refuses_what_cannot_be(
    monkeypatch: pytest.MonkeyPatch, name: str, device: str, precision: str, message: str
) -> None:
    monkeypatch.setattr("fictile.engine.backend.find_spec", found)
    with pytest.raises(RequestError, match=message):
        choose_backend(name, torch.device(device), precision)


def test_says_how_to_get_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fictile.engine.backend.find_spec", missing)
    with pytest.raises(RequestError, match=r"pip install 'fictile\[openvino\]'"):
        choose_backend("openvino", CPU, "float32")
    assert choose_backend("auto", CPU, "float32") in BACKENDS
    with pytest.raises(RequestError, match="not installed"):
        replace(choose_runtime("cpu"), backend="openvino").runner()


def test_says_what_compiling_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fictile.engine.backend.find_spec", missing)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(
        RequestError, match=r"needs a C\+\+ compiler, and /nowhere/c\+\+ is not there: install one .*, or choose"
    ):
        choose_backend("compiled", CPU, "float32")
    monkeypatch.setenv("CXX", sys.executable)
    assert choose_backend("compiled", CPU, "fp16") == "compiled"
    with pytest.raises(RequestError, match="needs triton on CUDA, and it is not installed"):
        choose_backend("compiled", torch.device("cuda"), "bf16")
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(RequestError, match="not on Windows"):
        choose_backend("compiled", CPU, "float32")
