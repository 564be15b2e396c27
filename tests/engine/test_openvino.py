"""OpenVINO as a back end: the same numbers at any size, and graphs that are kept on the disk."""

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fictile.engine import Job
from fictile.errors import FictileError

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")

from fictile.engine import openvino as backend

CPU = torch.device("cpu")


def a_job() -> Job:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 2, 3, stride=2))
    return Job(
        network=network.eval().requires_grad_(requires_grad=False), example=[(torch.zeros(1, 3, 8, 8), (0, 2, 3))]
    )


def ready(job: Job, folder: Path) -> Any:
    return backend.OpenVINO(CPU, torch.float32, 1, folder=folder).ready(job)


def test_one_graph_gives_the_networks_answer_at_every_size(tmp_path: Path) -> None:
    job = a_job()
    run = ready(job, tmp_path)
    for shape in [(1, 3, 8, 8), (2, 3, 16, 12), (3, 3, 9, 7), (1, 3, 8, 8)]:
        x = torch.randn(shape)
        torch.testing.assert_close(run(x), job.network(x), rtol=1e-4, atol=1e-5)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_graph_is_made_once_for_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, x, made = a_job(), torch.randn(1, 3, 8, 8), list[Job]()
    convert = backend.convert

    def counted(job: Job) -> Any:
        made.append(job)
        return convert(job)

    monkeypatch.setattr(backend, "convert", counted)
    first, again = (ready(job, tmp_path)(x) for _ in range(2))
    assert len(made) == 1
    assert first.equal(again)
    job.network.get_parameter("0.weight").mul_(2)
    torch.testing.assert_close(ready(job, tmp_path)(x), job.network(x), rtol=1e-4, atol=1e-5)
    assert len(made) == 2
    for graph in tmp_path.glob(f"*/{backend.GRAPH}"):
        graph.write_text("half a")
    torch.testing.assert_close(ready(job, tmp_path)(x), job.network(x), rtol=1e-4, atol=1e-5)
    assert len(made) == 3


def test_works_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    job, x = a_job(), torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(ready(job, tmp_path / "file")(x), job.network(x), rtol=1e-4, atol=1e-5)


def test_threads_may_share_a_graph(tmp_path: Path) -> None:
    job, inputs = a_job(), [torch.randn(2, 3, 64, 64) for _ in range(8)]
    run = ready(job, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        for x, answer in zip(inputs, pool.map(run, inputs), strict=True):
            torch.testing.assert_close(answer, job.network(x), rtol=1e-4, atol=1e-5)


def test_a_graph_in_a_folder_of_others_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, x = a_job(), torch.randn(1, 3, 8, 8)
    first = ready(job, tmp_path)(x)

    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refused)
    assert ready(job, tmp_path)(x).equal(first)


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svd(x)[1]


def test_what_openvino_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FictileError, match=r"OpenVINO cannot run this network \([^\n]+\); choose the eager back end"):
        ready(Job(network=Unknown(), example=[(torch.zeros(4, 4), (0,))]), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack(2) is looked at as Linux has it")
def test_the_stack_of_signals_stays_what_it_was(tmp_path: Path) -> None:
    """OpenVINO leaves one of its own behind and frees it later: Ctrl-C would end the process."""
    libc, words = ctypes.CDLL(None), ctypes.c_uint64 * 3

    def stack() -> list[int]:
        found = words()
        assert libc.sigaltstack(None, found) == 0
        return list(found)

    before = stack()
    run = ready(a_job(), tmp_path)
    assert stack() == before
    del run
    assert stack() == before
