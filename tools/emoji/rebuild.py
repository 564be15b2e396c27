"""Rebuild the packaged model from the registries: data set, autoencoder, denoiser, evaluation.

Run as ``scripts/train-emoji [--quick] [RUNS]``. Each part goes on where it was stopped.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from build_dataset import HERE, build
from evaluate import evaluate
from rich.console import Console
from sheet import PROMPTS

from fictile.autoencoder import KLSpec
from fictile.denoiser import UNetSpec
from fictile.errors import FictileError, RequestError
from fictile.text import TextSpec
from fictile.training import DenoiserTraining, VAETraining, train_denoiser, train_vae

NAME = "emoji-2"
console = Console(stderr=True)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How much is drawn, how the networks are shaped, how long they learn, and how much is measured."""

    size: int = 256
    styles: tuple[str, ...] = ("3d", "flat", "noto", "twemoji")
    scenes: int = 4000
    limit: int | None = None  # emoji of each style
    vae: dict[str, Any] = field(default_factory=dict[str, Any])  # what `VAETraining` should not take from its defaults
    denoiser: dict[str, Any] = field(default_factory=dict[str, Any])
    prompts: int = 200  # of the evaluation
    pictures: int = 500  # on each side of the Fréchet distance


FULL = Setting(
    vae={
        "spec": KLSpec(widths=(64, 96, 160), layers=1, channels=16, groups=16, mid_attention=False, stem=4),
        "steps": 4000,
        "batch": 16,
        "learning_rate": 1e-3,
        "cooldown": 0.4,
        "kl": 5e-4,
        "perceptual": 0.03,
        "perceptual_crop": 96,
    },
    denoiser={
        "spec": UNetSpec(widths=(128, 192, 192), layers=1, depth=(0, 1, 0), heads=(4, 6, 6)),
        "text": TextSpec(vocabulary=3072, width=160, layers=3, heads=5, context=32),
        "steps": 32_000,
        "batch": 32,
        "learning_rate": 5e-4,
        "cooldown": 0.5,
        "ema": 0.999,
        "shift": 3.0,
        "guidance": 3.0,
    },
)
"""The packaged model, in hours on two cores."""

QUICK = Setting(
    size=64,
    scenes=100,
    limit=60,
    vae={
        "spec": KLSpec(widths=(32, 64, 96), layers=1, channels=16, groups=16, mid_attention=False, stem=2),
        "steps": 400,
        "batch": 8,
        "learning_rate": 2e-3,
        "perceptual": 0.0,
    },
    denoiser={
        "spec": UNetSpec(widths=(64, 96, 96), layers=1, depth=(0, 1, 0), heads=(2, 3, 3)),
        "text": TextSpec(vocabulary=1024, width=96, layers=2, heads=3, context=32),
        "steps": 1200,
        "batch": 16,
        "learning_rate": 1e-3,
        "ema": 0.99,
        "shift": 3.0,
        "guidance": 3.0,
    },
    prompts=10,
    pictures=20,
)
"""All of it in minutes, to see that it works: small pictures of few things, which the networks hardly learn."""


def main(
    runs: Annotated[Path, typer.Argument(help="Folder of the data set, the runs and the results.")],
    quick: Annotated[bool, typer.Option("--quick", help="Everything small, in under ten minutes.")] = False,
    cache: Annotated[Path, typer.Option(help="Where the npm packages are kept.")] = HERE.parents[1] / ".cache" / "npm",
) -> None:
    """Rebuild the packaged model, or a small one like it, from the registries."""
    try:
        folder = rebuild(runs, QUICK if quick else FULL, cache)
    except FictileError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error
    console.print(f"The model is in {folder}, its table and its sheet in {runs / 'evaluation'}.", markup=False)


def rebuild(runs: Path, setting: Setting, cache: Path) -> Path:
    """Draw, train, measure. Returns the model's folder.

    Raises:
        RequestError: `runs` holds something that was made with another setting.
        FictileError: a package cannot be fetched, or training diverged.
    """
    data = runs / "data"
    build(data, setting.size, list(setting.styles), cache, scenes=setting.scenes, limit=setting.limit)
    common: dict[str, Any] = {"data": data, "name": NAME, "size": setting.size}
    vae = train_vae(VAETraining(output=runs / "vae", **common | setting.vae))
    given: dict[str, Any] = common | {"output": runs / "denoiser", "vae": vae, "prompts": PROMPTS}
    folder = train_denoiser(DenoiserTraining(**given | setting.denoiser))
    evaluate(data, runs / "evaluation", folder, setting.prompts, setting.pictures, cache)
    return folder


if __name__ == "__main__":
    typer.run(main)
