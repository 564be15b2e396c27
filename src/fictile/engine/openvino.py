"""OpenVINO as a back end: a network becomes a graph, once; the graph is kept on the disk and compiled for this machine.

The graph is made with OpenVINO's own frontend. Its `convert_model` would do the same and tell Intel of it, unless the
user has opted out; nothing that Fictile does reaches the network unasked.
"""

import os
import shutil
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from fictile.engine.backend import Job, Run
from fictile.engine.kept import key, make_room, shape
from fictile.engine.signals import own_signal_stack
from fictile.errors import FictileError
from fictile.files import cache_folder

GRAPH = "graph.xml"  # and its weights beside it, in graph.bin
HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}  # its names of the precisions


class OpenVINO:
    """Runs networks as graphs of OpenVINO: one for every size, so that another size costs nothing.

    The networks are given in float32; `dtype` is what the graph computes in, on `threads` threads of a CPU. The graphs
    are kept in `folder`, by a hash of the weights.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, threads: int, *, folder: Path | None = None) -> None:
        self._device = "GPU" if device.type == "xpu" else "CPU"
        self._settings = {"INFERENCE_PRECISION_HINT": HINTS[dtype], "PERFORMANCE_HINT": "LATENCY"}
        if self._device == "CPU":
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._folder = folder or cache_folder() / "openvino"

    def ready(self, job: Job) -> Run:
        import openvino

        core = openvino.Core()
        try:
            with own_signal_stack():
                compiled = core.compile_model(self._graph(core, job), self._device, self._settings)
        except Exception as error:  # those of its frontend have no base but this
            raise FictileError(
                f"OpenVINO cannot run this network ({_reason(error)}); choose the eager back end."
            ) from error

        alone = Lock()  # a compiled graph answers one thread at a time, and refuses others

        def run(*tensors: Tensor) -> Tensor:
            arrays = [tensor.detach().to("cpu", torch.float32).contiguous().numpy() for tensor in tensors]
            with alone:
                answer = compiled(arrays, share_inputs=True)[0]
            return torch.from_numpy(answer).to(tensors[0].device)

        return run

    def _graph(self, core: Any, job: Job) -> Any:
        """The graph from the disk; where it is not there or cannot be read, made and put there if there is room."""
        import openvino

        folder = self._folder / key(job, openvino.get_version())
        if (folder / GRAPH).exists():
            with suppress(RuntimeError):
                graph = core.read_model(folder / GRAPH)
                with suppress(OSError):  # a folder that others own is read all the same
                    os.utime(folder)
                return graph
            shutil.rmtree(folder, ignore_errors=True)
        graph = convert(job)
        try:
            keep(graph, folder)
        except (OSError, RuntimeError):  # it is made again the next time
            return graph
        return core.read_model(folder / GRAPH)


def convert(job: Job) -> Any:
    """The network as a graph whose free axes may have any size."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns of checks that hold for the example, and of being old
        decoder = TorchScriptPythonDecoder(
            job.network, example_input=tuple(tensor for tensor, _ in job.example), trace_kwargs={"check_trace": False}
        )
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.convert(frontend.load(decoder))
    shapes = [shape(tensor, free) for tensor, free in job.example]
    graph.reshape({place: openvino.PartialShape(sizes) for place, sizes in zip(graph.inputs, shapes, strict=True)})
    return graph


def keep(graph: Any, folder: Path) -> None:
    """Put the graph into the folder, whole or not at all, and make room for it among the others.

    Raises OSError or RuntimeError when it cannot be written.
    """
    import openvino

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
        whole = Path(temporary) / folder.name
        openvino.save_model(graph, whole / GRAPH, compress_to_fp16=False)
        with suppress(FileExistsError):
            whole.replace(folder)
    make_room(folder.parent, folder)


def _reason(error: Exception) -> str:
    """The last line of what OpenVINO says: those before tell where in its own code it was."""
    return str(error).strip().rpartition("\n")[2] or type(error).__name__
