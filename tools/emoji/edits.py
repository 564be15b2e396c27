"""Draw the sheet of inpainting cases with the packaged model, or another one: python tools/emoji/edits.py -o sheet.png

Each case draws a picture and edits a part of it, once, with the model's own defaults. Words, masks and seeds were
chosen for what the packaged model can do, and are fixed. A table says what the part shows before and after: of the
words of all cases, those whose own drawing is nearest to it (`measures.Features`), and how near the asked ones are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer
from measures import Features, Pixels, nearest
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

import fictile
from fictile.editing import Window, verify
from fictile.model import Model
from fictile.picture import Mask, Picture, load_picture, open_source, to_uint8
from fictile.recipe import FEATHER

GAP, LINE = 12, 28  # pixels between pictures, and for a line of words
PADDING = 16  # pixels of surroundings that are seen of what is edited alone
REFERENCE = 7  # the seed of the drawings that parts are compared with; no case has it


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is drawn, where it is edited, and to what."""

    drawn: str
    asked: str
    box: tuple[float, float, float, float]  # left, top, width, height in parts of the picture's sides
    round: bool = False  # whether it is the ellipse in the box
    alone: bool = False  # whether the model sees the masked part alone, at its own size
    seed: int = 0  # of the edit; what is drawn has seed 0

    def mask(self, size: tuple[int, int]) -> Mask:
        """What may change in a picture of this height and width."""
        left, top, width, height = self.pixels(size)
        if not self.round:
            return Mask.box(size, left=left, top=top, width=width, height=height)
        rows = (torch.arange(size[0]) + 0.5 - top - height / 2) / (height / 2)
        columns = (torch.arange(size[1]) + 0.5 - left - width / 2) / (width / 2)
        return Mask.of((rows[:, None] ** 2 + columns**2 <= 1).float())

    def pixels(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The box in pixels."""
        left, top, width, height = (round(part * size[1 - place % 2]) for place, part in enumerate(self.box))
        return left, top, width, height


CASES = (
    Case(drawn="a smiling face", asked="an angry face", box=(0.05, 0.1, 0.9, 0.8), seed=1),
    Case(drawn="a red heart", asked="a broken heart", box=(0.2, 0.0, 0.6, 1.0)),
    Case(drawn="a red apple", asked="a green apple", box=(0.0, 0.4, 1.0, 0.6)),
    Case(drawn="a tree", asked="a palm tree", box=(0.0, 0.0, 1.0, 0.7)),
    Case(drawn="a house", asked="a castle", box=(0.0, 0.0, 1.0, 0.6)),
    Case(drawn="a red heart", asked="a basketball", box=(0.22, 0.25, 0.56, 0.5), round=True, alone=True),
    Case(drawn="a red heart", asked="a blue heart", box=(0.0, 0.0, 0.5, 1.0)),
    Case(drawn="a smiling face", asked="sunglasses", box=(0.08, 0.2, 0.84, 0.34), round=True, alone=True, seed=1),
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """A case, and its picture before and after."""

    case: Case
    before: Pixels
    after: Pixels

    @property
    def size(self) -> tuple[int, int]:
        return self.before.shape[1], self.before.shape[2]


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The sheet.")] = Path("edits.png"),
    model: Annotated[Path | None, typer.Option(help="A model folder; the packaged model if left out.")] = None,
    only: Annotated[list[int] | None, typer.Option(help="Numbers of the cases, from 0; all if left out.")] = None,
) -> None:
    """Draw the sheet, and print the table."""
    maker, cases = fictile.load(model), [CASES[number] for number in only] if only else CASES
    done = [draw_case(maker, case) for case in track(cases, "Editing", console=Console(stderr=True))]
    draw_sheet(done).save(output)
    print(
        "\n".join(["| asked for | nearest before | nearest after | asked, before | after |", "|---|---|---|---|---|"])
    )
    for one, row in zip(done, compared(maker, done), strict=True):
        print(f"| {one.case.asked} |", " | ".join(row), "|")


def draw_case(model: Model, case: Case) -> Done:
    """What is drawn and its edit, outside of which nothing changed: that is proven."""
    (drawn,) = model.generate(case.drawn, seed=0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.png"
        drawn.save(path)
        mask = case.mask((drawn.pixels.shape[1], drawn.pixels.shape[2]))
        (edited,) = model.edit(
            path, case.asked, mask=mask, seed=case.seed, only_masked=case.alone, padding=PADDING if case.alone else 0
        )
        edited.save(path.with_name("edited.png"))
        assert verify(open_source(path.with_name("edited.png")), open_source(path)).intact
        return Done(case=case, before=load_picture(path).pixels, after=edited.pixels)


def compared(model: Model, done: Sequence[Done]) -> list[tuple[str, str, str, str]]:
    """Of each case: the words that its part is nearest to, before and after, and how near it is to the asked ones."""
    words = list(dict.fromkeys(word for one in done for word in (one.case.drawn, one.case.asked)))
    drawn = [Picture(model.generate(word, seed=REFERENCE)[0].pixels) for word in words]
    features, rows = Features(), list[tuple[str, str, str, str]]()
    for one in done:
        parts = features(_part(model, one, Picture(pixels)) for pixels in (one.before, one.after))
        # What is made alone is drawn whole, so it is compared with whole drawings; else each with the same part.
        known = features(each.pixels if one.case.alone else _part(model, one, each) for each in drawn)
        before, after = (words[index] for index in nearest(parts, known).tolist())
        first, then = (parts @ known[words.index(one.case.asked)]).tolist()
        rows.append((before, after, f"{first:.2f}", f"{then:.2f}"))
    return rows


def _part(model: Model, one: Done, picture: Picture) -> Pixels:
    """What lies in the box; of an edit that is made alone, in the mask: on white, as large as the model sees it."""
    if one.case.alone:
        mask, native, multiple = one.case.mask(one.size), model.defaults.size, model.multiple
        window = Window.around(mask.opacity(FEATHER), padding=PADDING, native=native, multiple=multiple)
        return torch.where(window.mask(mask).amount > 0, window.seen(picture).pixels, 1.0)
    left, top, width, height = one.case.pixels(one.size)
    return picture.pixels[:, top : top + height, left : left + width]


def draw_sheet(done: Sequence[Done], *, columns: int = 2) -> Image.Image:
    """Before, with the edge of the mask, and after, side by side; what the words were stands below."""
    font = ImageFont.load_default(15)
    height, width = done[0].size
    wide, high = 2 * width + GAP, height + LINE
    rows = -(-len(done) // columns)
    sheet = Image.new("RGB", (columns * (wide + 2 * GAP), rows * (high + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, one in enumerate(done):
        left, top = GAP + place % columns * (wide + 2 * GAP), GAP + place // columns * (high + GAP)
        sheet.paste(Image.fromarray(to_uint8(one.before)), (left, top))
        sheet.paste(Image.fromarray(to_uint8(one.after)), (left + width + GAP, top))
        x, y, across, down = one.case.pixels(one.size)
        outline = draw.ellipse if one.case.round else draw.rectangle
        outline([left + x, top + y, left + x + across - 1, top + y + down - 1], outline="#0078d4", width=2)
        asked = f"{one.case.asked}, alone" if one.case.alone else one.case.asked
        for words, middle in ((one.case.drawn, width / 2), (asked, 1.5 * width + GAP)):
            draw.text((left + middle, top + height + LINE / 2), words, fill="#333333", font=font, anchor="mm")
    return sheet


if __name__ == "__main__":
    typer.run(main)
