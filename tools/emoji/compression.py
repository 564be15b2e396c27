"""Which compression suits a text-to-emoji model: python tools/emoji/compression.py runs/compression

Trains an autoencoder of each kind on the same pictures for as many steps, then a small denoiser in its latents for as
much computation, and prints what each keeps of a picture beside how well was learnt in it (table.md, compression.json).
A finer latent keeps more and costs more for each picture a denoiser learns from. Goes on where it was stopped.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from build_dataset import HERE, build
from evaluate import Judge, Row, chosen, read_examples
from measures import Features, Kept
from rich.console import Console
from rich.markdown import Markdown
from torch.utils.flop_counter import FlopCounterMode

import fictile
from fictile.autoencoder import KLSpec
from fictile.denoiser import UNet, UNetSpec
from fictile.errors import FictileError, RequestError
from fictile.files import written_whole
from fictile.text import TextSpec
from fictile.training import DenoiserTraining, VAETraining, train_denoiser, train_vae

KINDS = {
    "f8, 4 channels": KLSpec(widths=(96, 160), layers=1, channels=4, groups=16, mid_attention=False, stem=4),
    "f8, 8 channels": KLSpec(widths=(96, 160), layers=1, channels=8, groups=16, mid_attention=False, stem=4),
    "f16, 16 channels": KLSpec(widths=(64, 96, 160), layers=1, channels=16, groups=16, mid_attention=False, stem=4),
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What each kind may use. The steps of a denoiser are those of the cheapest one; a dearer one takes fewer."""

    size: int = 128
    vae_steps: int = 400
    denoiser_steps: int = 1500
    batch: int = 16
    limit: int | None = None  # things in the data set
    prompts: int = 100
    pictures: int = 200  # on each side of the Fréchet distance
    unet: UNetSpec = field(
        default_factory=lambda: UNetSpec(widths=(96, 160, 160), layers=1, depth=(0, 1, 0), heads=(3, 5, 5))
    )
    text: TextSpec = field(default_factory=lambda: TextSpec(vocabulary=3072, width=160, layers=2, heads=5, context=32))


def main(
    runs: Annotated[Path, typer.Argument(help="Folder of the data set, the runs and the table.")],
    cache: Annotated[Path, typer.Option(help="Where the npm packages are kept.")] = HERE.parents[1] / ".cache" / "npm",
) -> None:
    """Measure three compressions beside each other."""
    try:
        rows = compare(runs, Budget(), KINDS, cache)
    except FictileError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error
    Console().print(Markdown(table(rows)))


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One kind of latent: what it costs a denoiser to learn from a picture of it, and what came out."""

    kind: str
    values: float  # of the latent, for each of the picture
    work: float  # GFLOP of a denoiser's step for each picture, forward and backward
    learnt_from: int  # pictures that the denoiser saw, repeats included
    measured: list[Row]


def compare(runs: Path, budget: Budget, kinds: dict[str, KLSpec], cache: Path) -> list[Compared]:
    """Train and measure each kind, and write the table.

    Raises:
        RequestError: `runs` holds something that was made with another budget.
        FictileError: a package cannot be fetched, or training diverged.
    """
    data = runs / "data"
    build(data, budget.size, ["3d"], cache, limit=budget.limit)
    work = {kind: work_of(budget, spec) for kind, spec in kinds.items()}
    rows = list[Compared]()
    for kind, spec in kinds.items():
        folder = runs / f"f{spec.factor}c{spec.channels}"
        steps = round(budget.denoiser_steps * min(work.values()) / work[kind])
        vae = train_vae(
            VAETraining(
                data=data,
                output=folder / "vae",
                size=budget.size,
                spec=spec,
                steps=budget.vae_steps,
                batch=budget.batch,
                learning_rate=1e-3,
                cooldown=0.4,
                kl=5e-4,
            )
        )
        model = train_denoiser(
            DenoiserTraining(
                data=data,
                output=folder / "denoiser",
                name=folder.name,
                size=budget.size,
                vae=vae,
                spec=budget.unet,
                text=budget.text,
                steps=steps,
                batch=budget.batch,
                learning_rate=5e-4,
                cooldown=0.4,
                ema=0.998,
                shift=3.0,
                guidance=3.0,
            )
        )
        rows.append(
            Compared(
                kind=kind,
                values=spec.channels / spec.factor**2 / 3,
                work=work[kind],
                learnt_from=steps * budget.batch,
                measured=measure(model, data, budget),
            )
        )
    for name, text in (
        ("table.md", table(rows)),
        ("compression.json", json.dumps([asdict(row) for row in rows], indent=2) + "\n"),
    ):
        with written_whole(runs / name) as draft:
            draft.write_text(text, encoding="utf-8")
    return rows


def work_of(budget: Budget, spec: KLSpec) -> float:
    """GFLOP of one picture through the denoiser of a kind, forward and backward, counted without running it."""
    side = budget.size // spec.factor
    with torch.device("meta"), FlopCounterMode(display=False) as counted:
        channels = {"in_channels": spec.channels, "out_channels": spec.channels}
        unet = UNet(replace(budget.unet, **channels, context_width=budget.text.width))
        x = torch.empty(1, spec.channels, side, side)
        words = torch.empty(1, budget.text.context, budget.text.width)
        unet(x, torch.empty(1), words).sum().backward()
    return counted.get_total_flops() / 1e9


def measure(model: Path, data: Path, budget: Budget) -> list[Row]:
    """The figures of one kind: round trips, the nearest training picture of seen prompts, the Fréchet distance."""
    train, heldout = (read_examples(data / part) for part in ("train", "heldout"))
    judge = Judge(fictile.load(model), Features(), train, Kept(data / "features"))
    return [
        *judge.round_trips(heldout),
        *judge.seen(chosen(train, budget.prompts)),
        *judge.distribution(budget.pictures),
    ]


def table(rows: Sequence[Compared]) -> str:
    """The kinds beside each other, as Markdown."""
    head = ["", *(row.kind for row in rows)]
    cells = [
        ["latent values for each of the picture", *(f"1/{1 / row.values:.0f}" for row in rows)],
        ["a denoiser's work for each picture, GFLOP", *(f"{row.work:.2f}" for row in rows)],
        ["pictures it learnt from, at equal work", *(f"{row.learnt_from:,}" for row in rows)],
        *([alike[0].what, *(row.cells[1] for row in alike)] for alike in zip(*(r.measured for r in rows), strict=True)),
    ]
    lines = [head, ["---"] * len(head), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    typer.run(main)
