"""Draw the sheet of inpainting cases with the packaged model, or another one: python tools/emoji/edits.py -o sheet.png

Each case draws a picture and edits a box of it, once, with the model's own defaults. Words, boxes and seeds were chosen
for what the packaged model can do, and are fixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

import fictile
from fictile.editing import verify
from fictile.model import Model
from fictile.picture import Mask, open_source, to_uint8

GAP, LINE = 12, 28  # pixels between pictures, and for a line of words


@dataclass(frozen=True)
class Case:
    """What is drawn, where it is edited (left, top, width, height in parts of its sides), and to what."""

    drawn: str
    box: tuple[float, float, float, float]
    asked: str
    seed: int  # of the edit; what is drawn has seed 0


CASES = (
    Case("a smiling face", (0.05, 0.1, 0.9, 0.8), "an angry face", 1),
    Case("a car", (0.0, 0.3, 1.0, 0.65), "a blue car", 2),
    Case("a red heart", (0.5, 0.0, 0.5, 1.0), "a blue heart", 0),
    Case("a red apple", (0.0, 0.4, 1.0, 0.6), "a green apple", 0),
    Case("a dog", (0.25, 0.25, 0.75, 0.75), "a black dog", 1),
    Case("a guitar", (0.0, 0.35, 0.7, 0.65), "a blue guitar", 1),
    Case("a tree", (0.05, 0.0, 0.9, 0.65), "a Christmas tree", 0),
    Case("a sun", (0.0, 0.0, 0.5, 1.0), "a moon", 1),
)


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The sheet.")] = Path("edits.png"),
    model: Annotated[Path | None, typer.Option(help="A model folder; the packaged model if left out.")] = None,
    only: Annotated[list[int] | None, typer.Option(help="Numbers of the cases, from 0; all if left out.")] = None,
) -> None:
    """Draw the sheet."""
    cases = [CASES[number] for number in only] if only else CASES
    draw_edits(fictile.load(model), cases).save(output)


def draw_edits(model: Model, cases: Sequence[Case] = CASES, *, columns: int = 2) -> Image.Image:
    """Before, with the box, and after, side by side; what the words were stands below."""
    font = ImageFont.load_default(15)
    height, width = model.defaults.size
    wide, high = 2 * width + GAP, height + LINE
    rows = -(-len(cases) // columns)
    sheet = Image.new("RGB", (columns * (wide + 2 * GAP), rows * (high + GAP) + GAP), "white")
    for place, case in enumerate(track(cases, "Drawing the sheet", console=Console(stderr=True))):
        before, after, box = draw_case(model, case)
        left, top = GAP + place % columns * (wide + 2 * GAP), GAP + place // columns * (high + GAP)
        sheet.paste(before, (left, top))
        sheet.paste(after, (left + width + GAP, top))
        marked = [left + box[0], top + box[1], left + box[0] + box[2] - 1, top + box[1] + box[3] - 1]
        ImageDraw.Draw(sheet).rectangle(marked, outline="#0078d4", width=2)
        for words, middle in ((case.drawn, width / 2), (case.asked, 1.5 * width + GAP)):
            centre = (left + middle, top + height + LINE / 2)
            ImageDraw.Draw(sheet).text(centre, words, fill="#333333", font=font, anchor="mm")
    return sheet


def draw_case(model: Model, case: Case) -> tuple[Image.Image, Image.Image, tuple[int, int, int, int]]:
    """The picture, its edit, and the box in pixels; what lies outside is proven to be the same."""
    (drawn,) = model.generate(case.drawn, seed=0)
    height, width = drawn.pixels.shape[1:]
    left, top, wide, high = (round(part * side) for part, side in zip(case.box, (width, height) * 2, strict=True))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.png"
        drawn.save(path)
        mask = Mask.box((height, width), left=left, top=top, width=wide, height=high)
        (edited,) = model.edit(path, case.asked, mask=mask, seed=case.seed)
        edited.save(path.with_name("edited.png"))
        assert verify(open_source(path.with_name("edited.png")), open_source(path)).intact
    return Image.fromarray(to_uint8(drawn.pixels)), Image.fromarray(to_uint8(edited.pixels)), (left, top, wide, high)


if __name__ == "__main__":
    typer.run(main)
