"""Folders of a few made-up pictures, and runs on them that take seconds."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from fictile.autoencoder import KLSpec
from fictile.checkpoint import load_autoencoder
from fictile.denoiser import UNetSpec
from fictile.engine import Runtime
from fictile.picture import save_picture
from fictile.text import TextSpec
from fictile.training import DenoiserTraining, VAETraining
from fictile.training.denoiser import DenoiserTrainee
from fictile.training.folder import open_folder
from fictile.training.run import open_run
from fictile.training.vae import VAETrainee

SIZE = 32
CPU = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)
NOUNS = ("fox", "leaf", "house", "star", "boat", "moon")


@contextmanager
def one_thread() -> Generator[None]:
    """torch on one thread inside the block: the last bits of a sum depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def picture_folder(folder: Path, *, train: int = 12, heldout: int = 4) -> Path:
    """Colour ramps with some grain, each with two captions, in `train` and `heldout`."""
    random = torch.Generator().manual_seed(1)
    for part, count in (("train", train), ("heldout", heldout)):
        (folder / part).mkdir(parents=True)
        lines: list[str] = []
        for index in range(count):
            corners = 2 * torch.rand((1, 3, 2, 2), generator=random) - 1
            ramp = torch.nn.functional.interpolate(corners, (SIZE, SIZE), mode="bilinear")[0]
            grain = 0.1 * torch.randn((3, SIZE, SIZE), generator=random)
            save_picture((ramp + grain).clamp(-1, 1), folder / part / f"{index}.png")
            noun = NOUNS[index % len(NOUNS)]
            lines.append(json.dumps({"file_name": f"{index}.png", "captions": [f"a {noun}", f"a small {noun}"]}))
        (folder / part / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def vae_options(data: Path, output: Path, **changes: Any) -> VAETraining:
    """20 steps of an autoencoder that diffusers has too, with everything in it that can be trained."""
    spec = KLSpec(widths=(16, 32), layers=1, groups=8, mid_attention=True)
    return VAETraining(**_settings(data, output, changes, spec=spec, gan_width=8))


def denoiser_options(data: Path, output: Path, vae: Path, **changes: Any) -> DenoiserTraining:
    """20 steps of a U-Net with attention on its deeper level."""
    spec = UNetSpec(widths=(16, 32), layers=1, depth=(0, 1), heads=(1, 2), groups=8)
    text = TextSpec(vocabulary=280, width=16, layers=1, heads=2, context=12)
    return DenoiserTraining(**_settings(data, output, changes, vae=vae, spec=spec, text=text, sample_steps=2))


def _settings(data: Path, output: Path, changes: dict[str, Any], **own: Any) -> dict[str, Any]:
    return {
        "data": data,
        "output": output,
        "size": SIZE,
        "steps": 20,
        "batch": 4,
        "learning_rate": 1e-3,
        "warmup": 5,
        "sample_every": 10,
        "log_every": 5,
        "device": "cpu",
        **own,
        **changes,
    }


def vae_trainee(options: VAETraining) -> VAETrainee:
    """What `train_vae` runs, in float32 and in an opened folder."""
    pictures = open_folder(options.data, options.size)
    open_run(options, pictures)
    return VAETrainee(options, *pictures, CPU)


def denoiser_trainee(options: DenoiserTraining) -> DenoiserTrainee:
    """What `train_denoiser` runs, in float32 and in an opened folder."""
    pictures = open_folder(options.data, options.size)
    open_run(options, pictures)
    trainee = DenoiserTrainee(options, load_autoencoder(options.vae), *pictures, CPU)
    trainee.prepare()
    return trainee


def disturb(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, call: int, act: Callable[[], None]) -> None:
    """Let `act` happen once, after the given call (from 1) of a method of `owner` from now on."""
    original, calls = getattr(owner, method), 0

    def disturbed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        result = original(*arguments, **named)
        calls += 1
        if calls == call:
            act()
        return result

    monkeypatch.setattr(owner, method, disturbed)
