"""torch's compiler as a back end: the same numbers at any size, from one program that is kept on the disk.

Compiling takes half a minute of the processor however small the network is, most of it C++ reading torch's headers: one
program is made for all, and the tests that need another are slow.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from tests.tiny_model import tiny_autoencoder, tiny_unet
from torch import nn

from fictile.autoencoder import as_kl
from fictile.codec import AutoencoderCodec
from fictile.denoiser import UNetGraph
from fictile.engine import Job, choose_backend, choose_runtime
from fictile.engine.compile_program import __file__ as compiler
from fictile.engine.compiled import PACKAGE, Compiled
from fictile.errors import FictileError, RequestError
from fictile.picture import Picture

CPU = torch.device("cpu")
TOLERANCE = 1e-4  # of the norm: the same arithmetic in float32, in another order

try:
    choose_backend("compiled", CPU, "float32")
except RequestError as error:
    pytest.skip(str(error), allow_module_level=True)


def a_job() -> Job:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 2, 3, stride=2)).eval()
    return Job(network=network.requires_grad_(requires_grad=False), example=[(torch.zeros(2, 3, 8, 9), (0, 2, 3))])


def ready(job: Job, folder: Path) -> Any:
    return Compiled(CPU, torch.float32, 1, folder=folder).ready(job)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program of `a_job`."""
    folder = tmp_path_factory.mktemp("inductor")
    ready(a_job(), folder)
    return folder


@pytest.fixture
def _no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    def refused(*_: object) -> None:
        raise AssertionError("it compiles again")

    monkeypatch.setattr(Compiled, "_compile", refused)


@pytest.mark.usefixtures("_no_compiling")
def test_one_program_gives_the_networks_answer_at_every_size_and_to_threads(made: Path) -> None:
    job = a_job()
    run = ready(job, made)
    inputs = [torch.randn(shape) for shape in [(1, 3, 8, 8), (2, 3, 16, 12), (3, 3, 9, 7), (4, 3, 3, 3)]]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        for x, answer in zip(inputs, pool.map(run, inputs), strict=True):
            torch.testing.assert_close(answer, job.network(x), rtol=1e-4, atol=1e-5)
    turned = torch.randn(1, 9, 8, 3).permute(0, 3, 2, 1)
    torch.testing.assert_close(run(turned), job.network(turned), rtol=1e-4, atol=1e-5)
    assert [len(list(folder.iterdir())) for folder in made.iterdir()] == [1]  # nothing else of the compiler's is left


@pytest.mark.usefixtures("_no_compiling")
def test_other_weights_threads_and_precisions_are_other_programs(made: Path) -> None:
    job = a_job()
    job.network.get_parameter("0.weight").mul_(2)
    for backend, other in [
        (Compiled(CPU, torch.float32, 1, folder=made), job),
        (Compiled(CPU, torch.float32, 2, folder=made), a_job()),
        (Compiled(CPU, torch.bfloat16, 1, folder=made), a_job()),
    ]:
        with pytest.raises(FictileError, match="it compiles again"):
            backend.ready(other)


@pytest.mark.slow
def test_a_damaged_program_is_made_again(made: Path, tmp_path: Path) -> None:
    job, x, folder = a_job(), torch.randn(1, 3, 8, 8), tmp_path / "inductor"
    shutil.copytree(made, folder)
    (package,) = folder.glob(f"*/{PACKAGE}")
    package.write_text("half a")
    torch.testing.assert_close(ready(job, folder)(x), job.network(x), rtol=1e-4, atol=1e-5)
    assert package.stat().st_size > 1000


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.sum().item() if x.sum().item() > 0 else x


def test_what_torch_cannot_compile_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FictileError, match=r"torch's compiler cannot run this network \([^\n]+\); choose the eager"):
        ready(Job(network=Unknown(), example=[(torch.zeros(4, 5), (0,))]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(FictileError, match=r"torch's compiler cannot run this network \([^\n]+\); choose the eager"):
        ready(a_job(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_the_compilers_process_ends_with_ours(tmp_path: Path) -> None:
    command = [sys.executable, "-P", compiler, str(tmp_path / "fifo"), str(tmp_path / PACKAGE), "1"]
    os.mkfifo(tmp_path / "fifo")  # it waits for a program that never comes
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 1


@pytest.mark.slow
def test_the_unet_answers_the_same_at_every_size_and_no_process_is_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before, environment = set(psutil.Process().children(recursive=True)), dict(os.environ)
    graph = UNetGraph(tiny_unet().requires_grad_(requires_grad=False))
    multiple = graph.network.spec.multiple
    run = ready(Job(network=graph, example=graph.example(), multiple=multiple), tmp_path)
    assert set(psutil.Process().children(recursive=True)) == before
    assert os.environ == environment
    for batch, height, width, tokens in [(1, 8, 8, 5), (3, 12, 6, 9), (2, multiple, multiple, 1)]:
        sizes = {0: batch, 2: tokens}
        maps = torch.randn(batch, 4, height, width)
        rest = [
            torch.randn([sizes[axis] if axis in free else size for axis, size in enumerate(tensor.shape)])
            for tensor, free in graph.example()[1:]
        ]
        expected = graph(maps, *rest)
        assert (run(maps, *rest) - expected).norm() <= TOLERANCE * expected.norm()
    assert capfd.readouterr() == ("", "")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_encodes_and_decodes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    autoencoder, runtime = tiny_autoencoder(stem=2), choose_runtime("cpu", "float32")
    eager, compiled = (
        AutoencoderCodec(autoencoder, replace(runtime, backend=backend)) for backend in ("eager", "compiled")
    )
    as_kl(compiled.autoencoder).network.decoder.register_forward_pre_hook(never)
    for height, width in [(32, 32), (21, 40)]:
        picture = Picture(torch.rand(3, height, width) * 2 - 1)
        latent = eager.encode(picture)
        ours = compiled.encode(picture).data
        assert (ours - latent.data).norm() <= TOLERANCE * latent.data.norm()
        expected = eager.decode(latent).pixels
        assert (compiled.decode(latent).pixels - expected).norm() <= TOLERANCE * expected.norm()
    assert len(list((tmp_path / "fictile" / "inductor").iterdir())) == 2


def never(*_: object) -> None:
    raise AssertionError("torch ran the network")
