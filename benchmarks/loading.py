"""From a single file of Stable Diffusion 1.5's size to networks that are ready, each time in a fresh process.

What a program has loaded before makes its next load cheaper, so that a warm process would say little. Imports are done
before the clock starts. The file is in the system's cache: it was just written, and every process reads it.

Memory is the largest resident size while loading, less that before. Pages of a mapped file count too, where a library
maps it and has read them; the system could take those back.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.cases import Scale
from benchmarks.contest import TOLERANCE, Outcome, Side, Unequal, compare
from benchmarks.memory import growth
from benchmarks.peer import diffusers_autoencoder, diffusers_unet
from fictile.autoencoder import KL
from fictile.checkpoint import convert, load_checkpoint, open_checkpoint
from fictile.checkpoint.pipeline import text_config
from fictile.denoiser import UNet
from fictile.engine import PRECISIONS
from fictile.text import CLIP_L

CASE = "sd15-load"
SIDES = ("fictile", "diffusers, from_single_file")
FILE, CONFIG = "single.safetensors", "config"


def hold_loads(precision: str, scale: Scale, rounds: int) -> Outcome:
    """Measure `rounds` loads of both sides in turn, of a file in float16 into networks of `precision`.

    Raises Unequal when the U-Nets differ.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_file(folder, scale)
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side in SIDES:
                found[side].append(fresh(side, folder, precision))
        size = (folder / FILE).stat().st_size
        ours, theirs = (load_file(folder / f"{side}.safetensors")["norms"] for side in SIDES)
    parity = compare(ours, theirs)
    if not parity.relative <= TOLERANCE[precision]:
        raise Unequal(f"{CASE} in {precision}: the U-Nets differ by {parity.relative:.2g}; the times say nothing")
    sides = {side: _side(found[side]) for side in SIDES}
    return Outcome(
        case=CASE,
        precision=precision,
        job=f"a single file of SD1.5 in float16, {size / 2**20:.0f} MiB, to networks, in fresh processes",
        fictile=sides.pop(SIDES[0]),
        peers=sides,
        parity=dict.fromkeys(sides, parity),
    )


def write_file(folder: Path, scale: Scale) -> None:
    """A random model as a single file, and as a folder whose configurations diffusers opens the file with."""
    torch.manual_seed(0)
    width = scale.unet.context_width
    text = replace(CLIP_L, width=width, heads=max(width // 64, 1), layers=12 if width == CLIP_L.width else 2)
    make: Any = StableDiffusionPipeline
    make(
        unet=diffusers_unet(UNet(scale.unet)),
        vae=diffusers_autoencoder(KL(scale.autoencoder)),
        text_encoder=CLIPTextModel(CLIPTextConfig(**text_config(text))),  # pyright: ignore[reportArgumentType]
        tokenizer=None,
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "made")
    convert(open_checkpoint(folder / "made"), folder / FILE, dtype=torch.float16)
    convert(open_checkpoint(folder / FILE), folder / CONFIG)


def fresh(side: str, folder: Path, precision: str) -> dict[str, Any]:
    """One load in a process of its own: its seconds, and the bytes by which the process grew."""
    command = [sys.executable, "-m", "benchmarks.loading", side, str(folder), precision, str(torch.get_num_threads())]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout.splitlines()[-1])


def load_once(side: str, folder: Path, precision: str) -> dict[str, Any]:
    """What a child process does; it leaves the norm of each of the U-Net's tensors in a file."""
    dtype, loaded, seconds = PRECISIONS[precision], list[nn.Module](), list[float]()

    def run() -> None:
        start = time.perf_counter()
        loaded.append(ours(folder, dtype) if side == SIDES[0] else theirs(folder, dtype))
        seconds.append(time.perf_counter() - start)

    memory = growth(run)
    save_file({"norms": norms(loaded[0])}, folder / f"{side}.safetensors")
    return {"seconds": seconds[0], "memory": memory}


def ours(folder: Path, dtype: torch.dtype) -> nn.Module:
    """Fictile's U-Net, with everything beside it loaded too."""
    loaded = load_checkpoint(folder / FILE, dtype=dtype)
    assert loaded.unet, "the file was written with one"
    return nn.ModuleList([loaded.unet, *(part for part in (loaded.vae, loaded.text_encoder) if part)])


def theirs(folder: Path, dtype: torch.dtype) -> nn.Module:
    """The same of diffusers."""
    make: Any = StableDiffusionPipeline
    pipeline = make.from_single_file(
        folder / FILE, config=str(folder / CONFIG), local_files_only=True, torch_dtype=dtype, safety_checker=None
    )
    return nn.ModuleList([pipeline.unet, pipeline.vae, pipeline.text_encoder])


def norms(loaded: nn.Module) -> Tensor:
    """The length of every tensor of the U-Net, in the order of its names."""
    state = loaded.get_submodule("0").state_dict()
    return torch.stack([state[name].double().norm() for name in sorted(state)])


def _side(runs: list[dict[str, Any]]) -> Side:
    memory = [run["memory"] for run in runs if run["memory"] is not None]
    return Side(seconds=[run["seconds"] for run in runs], memory=max(memory) if memory else None)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[4]))
    print(json.dumps(load_once(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
