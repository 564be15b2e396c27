"""Measure a text-to-emoji model: python tools/emoji/evaluate.py runs/emoji/data -o runs/emoji/evaluation

Writes a table (table.md, evaluation.json) and a sheet of pictures. Every picture is drawn once, with the model's own
defaults and seeds that depend on nothing but its place in the list: the same model gives the same table.
"""

import json
import platform
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from build_dataset import ART, HERE, PLAIN_STYLE, known_cast, known_emoji, read_table, scaled
from candidates import candidates
from concepts import Emoji, is_held_out, normal_code
from measures import Features, Kept, Pixels, copy_distance, distances, frechet, nearest, overlap, share
from pictures import over_white
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track
from scenes import Cast, Scene, draw_scene
from sheet import PROMPTS, draw_sheet, read_prompts

import fictile
from fictile.errors import FictileError, RequestError
from fictile.fidelity import colour, psnr, ssim
from fictile.model import Model
from fictile.picture import Picture, from_uint8, load_picture

console = Console(stderr=True)
SIZE = 256
PLAIN = 50  # of the seen prompts are drawn without guidance too
NEGATIVES = 12  # prompts that are drawn with and without a negative prompt, and started from a picture


@dataclass(frozen=True, kw_only=True)
class Example:
    """One picture of the data set and what is said of it."""

    path: Path
    prompt: str
    concept: str
    style: str
    weight: float
    scene: Scene | None

    @property
    def pixels(self) -> Pixels:
        return load_picture(self.path).pixels


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    value: float
    unit: str = ""
    goal: str = ""
    beside: str = ""  # what to compare it with

    @property
    def cells(self) -> list[str]:
        value = f"{100 * self.value:.1f} %" if self.unit == "%" else f"{self.value:.4g} {self.unit}".strip()
        return [self.what, value, self.goal, self.beside]


def main(
    data: Annotated[Path, typer.Argument(help="The data set that build_dataset.py made.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the table and the sheet.")],
    model: Annotated[Path | None, typer.Option(help="A model folder; the packaged one if left out.")] = None,
    prompts: Annotated[int, typer.Option(min=2, help="Seen prompts, and held-out scenes.")] = 200,
    pictures: Annotated[int, typer.Option(min=4, help="Pictures on each side of the Fréchet distance.")] = 500,
    cache: Annotated[Path, typer.Option(help="Where the npm packages are kept.")] = HERE.parents[1] / ".cache" / "npm",
) -> None:
    """Measure a text-to-emoji model."""
    try:
        rows = evaluate(data, output, model, prompts, pictures, cache)
    except FictileError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error
    Console().print(Markdown(table(rows)))


def evaluate(data: Path, output: Path, folder: Path | None, prompts: int, pictures: int, cache: Path) -> list[Row]:
    """All measurements, written into the output folder."""
    train, heldout, scenes = (read_examples(data / part) for part in ("train", "heldout", "scenes"))
    if not train or not heldout:
        raise RequestError(f"{data} holds no data set with train and heldout; make one with build_dataset.py.")
    model = fictile.load(folder)
    judge = Judge(model, Features(), train, Kept(data / "features"))
    rows = [*judge.round_trips(heldout), *judge.seen(asked(train, prompts)), *judge.distribution(pictures)]
    if scenes:
        rows += judge.compositions(scenes[:prompts], stage(train, cache))
    rows += [*judge.control(chosen(train, NEGATIVES)), *judge.cost(folder)]
    output.mkdir(parents=True, exist_ok=True)
    about = {"model": model.name, "hash": model.hashes and model.hashes.model, "date": date.today().isoformat()}
    about |= {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "torch": torch.__version__}
    (output / "table.md").write_text(table(rows), encoding="utf-8")
    (output / "evaluation.json").write_text(
        json.dumps(about | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n", encoding="utf-8"
    )
    draw_sheet(model, read_prompts(PROMPTS)).save(output / "sheet.png")
    return rows


class Judge:
    """A model, and the training pictures that its own are compared with."""

    def __init__(self, model: Model, features: Features, train: Sequence[Example], kept: Kept) -> None:
        self.model, self.features, self.train, self.kept = model, features, train, kept
        shown = track(train, "Looking at the training pictures", console=console)
        about = [(one.path.name, one.path.stat().st_size) for one in train]
        self.known = kept(about, lambda: features(one.pixels for one in shown))

    def draw(self, prompts: Sequence[str], what: str, first: int = 0, **options: Any) -> Iterator[Pixels]:
        """One picture a prompt; the i-th has the seed first + i."""
        for place, prompt in enumerate(track(prompts, what, console=console)):
            (picture,) = self.model.generate(prompt, seed=first + place, **options)
            yield picture.pixels

    def round_trips(self, heldout: Sequence[Example]) -> list[Row]:
        """What the autoencoder does to pictures of things that it never saw."""
        before = [one.pixels for one in heldout]
        after = [self.round_trip(pixels) for pixels in track(before, "Round trips", console=console)]
        pairs = list(zip(before, after, strict=True))
        return [
            Row(
                what="round trip of held-out pictures, PSNR",
                value=mean(psnr(a, b) for a, b in pairs),
                unit="dB",
                goal="33",
            ),
            Row(what="the same, SSIM", value=mean(ssim(a, b) for a, b in pairs), goal="0.97"),
            Row(what="the same, CIEDE2000", value=mean(colour(a, b).delta_e for a, b in pairs), goal="1.0 at most"),
        ]

    def round_trip(self, pixels: Pixels) -> Pixels:
        """A picture through the latent space."""
        return self.model.decode(self.model.encode(Picture(pixels))).pixels

    def seen(self, examples: Sequence[Example]) -> list[Row]:
        """Whether prompts of the training set bring what they name."""
        made = self.features(self.draw([one.prompt for one in examples], "Seen prompts"))
        best = self.features(self.round_trip(one.pixels) for one in track(examples, "The ceiling", console=console))
        few = examples[:: max(1, len(examples) // PLAIN)]
        plain = self.features(self.draw([one.prompt for one in few], "Without guidance", guidance=1.0))
        found = {name: [self.train[i] for i in nearest(f, self.known).tolist()] for name, f in
                 (("made", made), ("best", best), ("plain", plain))}  # fmt: skip

        def agree(name: str, part: str) -> float:
            wanted = few if name == "plain" else examples
            return share(getattr(a, part) == getattr(b, part) for a, b in zip(found[name], wanted, strict=True))

        return [
            Row(what=f"{len(examples)} seen prompts: nearest training picture is the right concept",
                value=agree("made", "concept"), unit="%", goal="85 %",
                beside=f"true pictures after the round trip {100 * agree('best', 'concept'):.1f} %, "
                       f"{len(few)} of them without guidance {100 * agree('plain', 'concept'):.1f} %"),
            Row(what="the same, the right style", value=agree("made", "style"), unit="%", goal="95 %",
                beside=f"true pictures after the round trip {100 * agree('best', 'style'):.1f} %"),
        ]  # fmt: skip

    def distribution(self, count: int) -> list[Row]:
        """How far the model's pictures as a whole are from those it learnt from."""
        weights = torch.tensor([one.weight for one in self.train])
        rows = torch.multinomial(weights, 3 * count, replacement=True, generator=torch.Generator().manual_seed(1))
        asked, one, other = rows.view(3, count)
        prompts = [self.train[index].prompt for index in asked.tolist()]
        made = self.features(self.draw(prompts, "For the Fréchet distance", first=10_000))
        beside = frechet(self.known[one], self.known[other])
        return [
            Row(what=f"Fréchet distance x 1000, {count} pictures", value=frechet(made, self.known[one]),
                beside=f"two draws of training pictures {beside:.4g}"),
        ]  # fmt: skip

    def compositions(self, scenes: Sequence[Example], staged: "Stage") -> list[Row]:
        """Whether held-out scenes are told from others that share a part with them, and whether they are copies."""
        made = self.features(self.draw([one.prompt for one in scenes], "Held-out scenes", first=20_000))
        true = self.features(self.round_trip(one.pixels) for one in track(scenes, "The ceiling", console=console))
        chance = random.Random(0)
        choices = [candidates(one.scene, staged.cast, chance) for one in scenes if one.scene]
        every = track(list(chain.from_iterable(choices)), "Candidates", console=console)
        others = self.kept((SIZE, choices), lambda: self.features(map(staged.draw, every)))
        others = others.split([len(choice) for choice in choices])
        hits, best = (
            [int(nearest(one[None], other)) == 0 for one, other in zip(found, others, strict=True)]
            for found in (made, true)
        )
        random_ = torch.Generator().manual_seed(2)
        near = copy_distance([one.pixels for one in chosen(self.train, 50)], self.features, random_)
        copies = (distances(made, self.known) < near).float().mean().item()
        return [
            Row(what=f"{len(scenes)} held-out scenes: the right one of 20", value=share(hits), unit="%", goal="60 %",
                beside=f"chance 5 %, true pictures after the round trip {100 * share(best):.1f} %"),
            Row(what="the same, copies of a training picture", value=copies, unit="%", goal="20 % at most",
                beside=f"nearer than {near:.3f}"),
        ]  # fmt: skip

    def control(self, examples: Sequence[Example]) -> list[Row]:
        """Whether img2img keeps a shape and takes new words, and whether negative prompts act."""
        pairs = list(zip(examples, [*examples[1:], examples[0]], strict=True))
        kept, taken, moved = list[float](), list[bool](), list[float]()
        for place, (start, wanted) in enumerate(track(pairs, "img2img and negative prompts", console=console)):
            source = Picture(start.pixels)
            (changed,) = self.model.generate(wanted.prompt, seed=place, init=source, strength=0.5)
            (free,) = self.model.generate(wanted.prompt, seed=place)
            (without,) = self.model.generate(wanted.prompt, seed=place, negative=start.prompt)
            kept.append(overlap(changed.pixels, source.pixels) - overlap(free.pixels, source.pixels))
            before, after, goal = self.features([source.pixels, changed.pixels, wanted.pixels])
            taken.append(bool((after - goal).norm() < (before - goal).norm()))
            moved.append((free.pixels - without.pixels).square().mean().sqrt().item())
        return [
            Row(what="img2img at 0.5: overlap with the start's outline, more than without it", value=mean(kept)),
            Row(what="the same, nearer to the new words than the start was", value=share(taken), unit="%"),
            Row(what="a negative prompt changes the picture by (RMS, of a range of 2)", value=mean(moved)),
        ]

    def cost(self, folder: Path | None) -> list[Row]:
        """Time of a picture, and the size of the weights."""
        seconds = list[float]()
        for seed in range(6):
            began = time.perf_counter()
            self.model.generate("a fox", seed=seed)
            seconds.append(time.perf_counter() - began)
        place = folder or Path(fictile.__file__).parent / "builtin" / self.model.name
        weights = sum(path.stat().st_size for path in place.glob("*.safetensors"))
        return [
            Row(what=f"a picture, warm, {self.model.runtime.precision}, {self.model.runtime.threads} threads",
                value=median(seconds[1:]), unit="s", goal="3 at most with AMX"),
            Row(what="weights", value=weights / 1e6, unit="MB", goal="40 at most"),
        ]  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """The art and the cast that scenes are drawn with."""

    cast: Cast
    art: Any

    def draw(self, scene: Scene) -> Pixels:
        """A scene as the training pictures are: over white, in [-1, 1]."""
        return from_uint8(np.asarray(over_white(draw_scene(scene, partial(scaled, self.art, SIZE)), SIZE)))


def stage(train: Sequence[Example], cache: Path) -> Stage:
    """The stage with the things that training saw alone in the plain style."""
    everyday = read_table(HERE / "everyday.txt")
    exempt = {normal_code(code) for codes in everyday.values() for code in codes}
    seen = {one.concept for one in train if one.style == PLAIN_STYLE and one.scene is None}
    emoji: list[Emoji] = [one for code, one in known_emoji(everyday, cache).items() if code in seen]
    held_out = [one.concept for one in emoji if is_held_out(one.concept, exempt)]
    art = ART[PLAIN_STYLE](cache)
    return Stage(known_cast(emoji, held_out, art), art)


def read_examples(folder: Path) -> list[Example]:
    """What metadata.jsonl lists; nothing where there is none."""
    path = folder / "metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    return [
        Example(
            path=folder / line["file_name"],
            prompt=line["text"],
            concept=line["concept"],
            style=line["style"],
            weight=line["weight"],
            scene=Scene(**line["scene"] | {"things": tuple(line["scene"]["things"])}) if "scene" in line else None,
        )
        for line in lines
    ]


def chosen(train: Sequence[Example], count: int) -> list[Example]:
    """Single things that are drawn often, from everywhere in the list."""
    plain = [one for one in train if one.scene is None and one.weight >= 1]
    return random.Random(0).sample(plain, min(count, len(plain)))


def asked(train: Sequence[Example], count: int) -> list[Example]:
    """Seen things to ask for: most in the plain style, a tenth in each of the others."""
    others = sorted({one.style for one in train} - {PLAIN_STYLE})
    found = list[Example]()
    for style in others:
        drawn = [one for one in train if one.scene is None and one.style == style]
        common = [one for one in drawn if one.weight == max(other.weight for other in drawn)]
        found += random.Random(0).sample(common, min(count // 10, len(common)))
    return [*chosen(train, count - len(found)), *found]


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    cells = [["what", "value", "goal", "beside it"], ["---"] * 4, *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


if __name__ == "__main__":
    typer.run(main)
