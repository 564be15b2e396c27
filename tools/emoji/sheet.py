"""Draw a contact sheet of prompts with the packaged model, or another one: python tools/emoji/sheet.py -o sheet.png

Every prompt is drawn once with the same seed and the model's own defaults; nothing is picked.
"""

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track

import fictile
from fictile.picture import to_uint8

GAP, LINE = 12, 28  # pixels between pictures, and for a prompt below one
PROMPTS = Path(__file__).parent / "everyday.txt"


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The sheet.")] = Path("sheet.png"),
    model: Annotated[Path | None, typer.Option(help="A model folder; the packaged model if left out.")] = None,
    prompts: Annotated[Path, typer.Option(help="A prompt a line; what follows a tab is left out.")] = PROMPTS,
    seed: Annotated[int, typer.Option(help="Of every picture.")] = 0,
    columns: Annotated[int, typer.Option(help="Pictures in a row.")] = 4,
    guidance: Annotated[float | None, typer.Option(help="The model's own if left out.")] = None,
) -> None:
    """Draw a contact sheet."""
    loaded = fictile.load(model)
    lines = [line.split("\t")[0] for line in prompts.read_text(encoding="utf-8").splitlines() if line.strip()]
    font = ImageFont.load_default(18)
    height, width = loaded.defaults.size
    rows = -(-len(lines) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + LINE + GAP) + GAP), "white")
    for place, prompt in enumerate(track(lines, "drawing")):
        (picture,) = loaded.generate(prompt, seed=seed, guidance=guidance)
        left, top = GAP + place % columns * (width + GAP), GAP + place // columns * (height + LINE + GAP)
        sheet.paste(Image.fromarray(to_uint8(picture.pixels)), (left, top))
        middle = (left + width / 2, top + height + LINE / 2)
        ImageDraw.Draw(sheet).text(middle, prompt, fill="#333333", font=font, anchor="mm")
    sheet.save(output)


if __name__ == "__main__":
    typer.run(main)
