"""Loading holds a model once, and never the file beside it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fictile.checkpoint.keys import inverse, ldm_unet, write_as
from fictile.checkpoint.write import Entry, write_safetensors
from fictile.denoiser import SD15, UNet

SLACK = 300 * 2**20  # what the promise allows beside the tensors, whatever the size of the model
HALF = replace(SD15, widths=(160, 320, 640, 640))  # a quarter of Stable Diffusion 1.5: 400 MB in float16

# Runs in a process of its own, so that nothing of other tests is counted. Anonymous memory is what tensors are made of;
# pages of a mapped file, which the system takes back when it likes, are not counted. A thread looks every 2 ms.
CHILD = """
import json, sys, threading, time
import torch
from pathlib import Path
from fictile.checkpoint import load_checkpoint

def held():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

def watch():
    global peak
    while not done:
        peak = max(peak, held())
        time.sleep(0.002)

path, small, dtype = sys.argv[1], sys.argv[2], getattr(torch, sys.argv[3])
load_checkpoint(small, dtype=dtype)  # what is imported and allocated once is no part of the promise
before, peak, done = held(), 0, False
thread = threading.Thread(target=watch)
thread.start()
unet = load_checkpoint(path, dtype=dtype).unet
done = True
thread.join()
tensors = sum(parameter.nbytes for parameter in unet.parameters())
print(json.dumps({"tensors": tensors, "peak": max(peak, held()) - before}))
"""


def write_unet(path: Path, widths: tuple[int, ...]) -> None:
    """A single file with a random U-Net in float16, tensor by tensor; the random numbers are the same few again."""
    spec = replace(HALF, widths=widths)
    with torch.device("meta"):
        state = UNet(spec).state_dict()
    noise = (0.02 * torch.randn(2**16)).half()
    convention, entries = ldm_unet(spec), list[Entry]()
    for theirs, ours in inverse({name: tuple(tensor.shape) for name, tensor in state.items()}, convention).items():
        shape = tuple(write_as([state[name] for name in ours], convention(ours[0])).shape)

        def make(shape: tuple[int, ...] = shape) -> Tensor:
            count = torch.Size(shape).numel()
            return noise.repeat(-(-count // len(noise)))[:count].reshape(shape)

        entries.append(Entry(name=f"model.diffusion_model.{theirs}", dtype=torch.float16, shape=shape, make=make))
    write_safetensors(path, entries, {})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A large file, and a small one of the same kind."""
    place = tmp_path_factory.mktemp("memory")
    write_unet(place / "large.safetensors", HALF.widths)
    write_unet(place / "small.safetensors", (32, 64, 64, 64))
    return place / "large.safetensors", place / "small.safetensors"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_loading_holds_the_tensors_once(files: tuple[Path, Path], dtype: str) -> None:
    """The largest amount of anonymous memory while a U-Net is loaded, less what there was before, against the bytes of
    its tensors as they become. Reading the whole file first would take 400 MB more, and fail.
    """
    large, small = map(str, files)
    assert files[0].stat().st_size > 400e6
    child = subprocess.run(
        [sys.executable, "-c", CHILD, large, small, dtype], capture_output=True, text=True, check=True
    )
    found = json.loads(child.stdout)
    assert found["tensors"] > 0.99 * files[0].stat().st_size * (2 if dtype == "float32" else 1)
    assert 0.9 * found["tensors"] < found["peak"] < found["tensors"] + SLACK
