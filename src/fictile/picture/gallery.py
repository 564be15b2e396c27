"""Several pictures on one sheet, each with its name and a line about it."""

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fictile.picture.picture import Picture
from fictile.picture.pixels import from_uint8, to_uint8

GAP, NAME, LINE = 12, 17, 14  # pixels: between cells, and the sizes of the letters
EMPTY, INK, FAINT = "#eeeeee", "#222222", "#666666"


def gallery(cells: Sequence[tuple[Picture | None, str, str]], *, side: int = 320, columns: int = 4) -> Picture:
    """The pictures, fitted into squares of `side` pixels, in rows. Of each: its name below it, and a line about it; in
    the place of one that is not there, the line stands inside an empty square.
    """
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    height = side + 2 * NAME + LINE + GAP
    sheet = Image.new("RGB", (columns * (side + GAP) + GAP, rows * height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (picture, name, line) in enumerate(cells):
        left, top = GAP + place % columns * (side + GAP), GAP + place // columns * height
        middle = left + side / 2
        if picture is None:
            draw.rectangle((left, top, left + side - 1, top + side - 1), fill=EMPTY)
            words = "\n".join(textwrap.wrap(line, side * 2 // LINE))
            draw.multiline_text((middle, top + side / 2), words, FAINT, _font(LINE), anchor="mm", align="center")
        else:
            image = Image.fromarray(to_uint8(picture.pixels))
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            sheet.paste(image, (left + (side - image.width) // 2, top + (side - image.height) // 2))
            draw.text((middle, top + side + 2 * NAME), line, FAINT, _font(LINE), anchor="mm")
        draw.text((middle, top + side + NAME * 0.9), name, INK, _font(NAME), anchor="mm")
    return Picture(from_uint8(np.asarray(sheet)))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
