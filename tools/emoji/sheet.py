"""Draw a contact sheet of prompts with the packaged model, or another one: python tools/emoji/sheet.py -o sheet.png

Every prompt is drawn once with the same seed and the model's own defaults; nothing is picked.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

import fictile
from fictile.model import Model
from fictile.picture import to_uint8

GAP, LINE = 12, 28  # pixels between pictures, and for a prompt below one
PROMPTS = Path(__file__).parent / "sheet.txt"  # 16 everyday things, 16 scenes that are held out


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The sheet.")] = Path("sheet.png"),
    model: Annotated[Path | None, typer.Option(help="A model folder; the packaged model if left out.")] = None,
    prompts: Annotated[Path, typer.Option(help="A prompt a line; what follows a tab is left out.")] = PROMPTS,
    seed: Annotated[int, typer.Option(help="Of every picture.")] = 0,
    columns: Annotated[int, typer.Option(help="Pictures in a row.")] = 8,
    guidance: Annotated[float | None, typer.Option(help="The model's own if left out.")] = None,
) -> None:
    """Draw a contact sheet."""
    draw_sheet(fictile.load(model), read_prompts(prompts), seed=seed, columns=columns, guidance=guidance).save(
        output, quality=88
    )


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: a line each, up to a tab."""
    return [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def draw_sheet(
    model: Model, prompts: Sequence[str], *, seed: int = 0, columns: int = 8, guidance: float | None = None
) -> Image.Image:
    """One picture a prompt, each from the same seed, with the prompts below them."""
    font = ImageFont.load_default(18)
    height, width = model.defaults.size
    captions = [broken(prompt, lambda line: font.getlength(line) <= width) for prompt in prompts]
    below = LINE * max(len(lines) for lines in captions)
    rows = -(-len(prompts) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + below + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, prompt in enumerate(track(prompts, "Drawing the sheet", console=Console(stderr=True))):
        (picture,) = model.generate(prompt, seed=seed, guidance=guidance)
        left, top = GAP + place % columns * (width + GAP), GAP + place // columns * (height + below + GAP)
        sheet.paste(Image.fromarray(to_uint8(picture.pixels)), (left, top))
        for number, line in enumerate(captions[place]):
            middle = (left + width / 2, top + height + LINE * (number + 0.5))
            pen.text(middle, line, fill="#333333", font=font, anchor="mm")
    return sheet


def broken(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The lines of a text whose words are kept whole, each as long as it fits; a word that does not has its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


if __name__ == "__main__":
    typer.run(main)
