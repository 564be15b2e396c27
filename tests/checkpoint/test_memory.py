"""Loading holds a model once, and never the file beside it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fictile.autoencoder import KLSpec
from fictile.checkpoint.keys import inverse, write_as
from fictile.checkpoint.shapes import Naming, Spec, convention, tensor_shapes
from fictile.checkpoint.write import Entry, write_safetensors
from fictile.denoiser import SD15
from fictile.text import CLIP_L

SLACK = 300 * 2**20  # what the promise allows beside the tensors, whatever the size of the model
LARGE, SMALL = (160, 320, 640, 640), (32, 64, 64, 64)  # a quarter of Stable Diffusion 1.5: 400 MB in float16

# Runs in a process of its own, so that nothing of other tests is counted. Anonymous memory is what tensors are made of;
# pages of a mapped file, which the system takes back when it likes, are not counted. A thread looks every 2 ms.
CHILD = """
import json, sys, threading, time
import torch
import fictile
from fictile.checkpoint import load_checkpoint
from fictile.engine import PRECISIONS

def read(path):
    loaded = load_checkpoint(path, dtype=PRECISIONS[precision])
    return [loaded.unet, loaded.vae, loaded.text_encoder]

def load(path):
    model = fictile.load(path, device="cpu", precision=precision)
    return [model.denoiser.network, model.autoencoder.network, *model.text.networks]

def held():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

def watch():
    global peak
    while not done:
        peak = max(peak, held())
        time.sleep(0.002)

way, precision, path, small = globals()[sys.argv[1]], *sys.argv[2:]
way(small)  # what is imported and allocated once is no part of the promise
before, peak, done = held(), 0, False
thread = threading.Thread(target=watch)
thread.start()
networks = way(path)
done = True
thread.join()
tensors = sum(parameter.nbytes for network in networks for parameter in network.parameters())
print(json.dumps({"tensors": tensors, "peak": max(peak, held()) - before}))
"""


def write_model(path: Path, widths: tuple[int, ...]) -> None:
    """A single file of a random Stable Diffusion 1 whose U-Net has these widths, in float16, tensor by tensor; the
    random numbers are the same few again.
    """
    text = replace(CLIP_L, width=64, layers=1, heads=1)
    networks: Mapping[str, tuple[Spec, Naming]] = {
        "model.diffusion_model.": (replace(SD15, widths=widths, context_width=text.width), "ldm"),
        "first_stage_model.": (KLSpec(widths=(32, 32, 64, 64), layers=1), "ldm"),
        "cond_stage_model.transformer.": (text, "transformers"),
    }
    noise, entries = (0.02 * torch.randn(2**16)).half(), list[Entry]()
    for prefix, (spec, naming) in networks.items():
        names, shapes = convention(naming, spec), tensor_shapes(spec)
        for theirs, ours in inverse(shapes, names).items():
            parts = [torch.empty(shapes[name], device="meta") for name in ours]
            shape = tuple(write_as(parts, names(ours[0])).shape)

            def make(shape: tuple[int, ...] = shape) -> Tensor:
                count = torch.Size(shape).numel()
                return noise.repeat(-(-count // len(noise)))[:count].reshape(shape)

            entries.append(Entry(name=prefix + theirs, dtype=torch.float16, shape=shape, make=make))
    write_safetensors(path, entries, {})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A large file, and a small one of the same kind."""
    place = tmp_path_factory.mktemp("memory")
    write_model(place / "large.safetensors", LARGE)
    write_model(place / "small.safetensors", SMALL)
    return place / "large.safetensors", place / "small.safetensors"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(("way", "precision"), [("read", "fp16"), ("load", "bf16"), ("load", "float32")])
def test_loading_holds_the_tensors_once(files: tuple[Path, Path], way: str, precision: str) -> None:
    """The largest amount of anonymous memory while a model is read, or loaded to draw with, less what there was before,
    against the bytes of its tensors as they become. Reading the whole file first would take 400 MB more, a copy of the
    networks as much as they take, and reading in another precision than that of the run more than that.
    """
    large, small = map(str, files)
    assert files[0].stat().st_size > 400e6
    child = subprocess.run(
        [sys.executable, "-c", CHILD, way, precision, large, small], capture_output=True, text=True, check=True
    )
    found = json.loads(child.stdout)
    assert found["tensors"] > 0.99 * files[0].stat().st_size * (2 if precision == "float32" else 1)
    assert 0.9 * found["tensors"] < found["peak"] < found["tensors"] + SLACK
