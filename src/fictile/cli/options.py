"""The options that several commands share, each declared once, and how their words are read."""

from pathlib import Path
from typing import Annotated

import typer

from fictile.errors import RequestError

MODEL, OUTPUT = "Model", "Output"  # panels of the help page

Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A folder of Fictile's or of diffusers, a single file, or hub:owner/name; the packaged one if left out.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto (what is fast here), float32, bf16 or fp16.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto (the fastest there is), cpu, cuda, mps ...",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the result goes: a file, or a folder.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", metavar="", help="Print the result as JSON on stdout.", rich_help_panel=OUTPUT)
]

Strip = Annotated[
    bool,
    typer.Option(
        "--strip",
        metavar="",
        help="Write pixels alone: no prompt, no recipe, nothing that tells of you.",
        rich_help_panel=OUTPUT,
    ),
]
KeepLatent = Annotated[
    bool,
    typer.Option(
        "--keep-latent", metavar="", help="Keep the final latent beside each picture.", rich_help_panel=OUTPUT
    ),
]
Space = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="The space of a .latent file of ComfyUI, which does not say: sd1, sdxl, sd3, flux1 ...",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]


def height_and_width(text: str) -> tuple[int, int]:
    """What "WIDTHxHEIGHT" says, or one number for a square.

    Raises:
        RequestError: The text is neither.
    """
    width, *more = sides = text.lower().split("x")
    if len(more) > 1 or not all(side.isascii() and side.isdecimal() for side in sides):
        raise RequestError(f"{text!r} is no size; write WIDTHxHEIGHT, such as 256x192, or one number for a square.")
    return int(more[0] if more else width), int(width)


def place(text: str) -> tuple[int, int]:
    """What "LEFT,TOP" says, as (top, left).

    Raises:
        RequestError: The text is no two whole numbers.
    """
    sides = text.split(",")
    if len(sides) != 2 or not all(side.strip().removeprefix("-").isdecimal() for side in sides):
        raise RequestError(f"{text!r} is no place; write LEFT,TOP in pixels, such as 64,128.")
    return int(sides[1]), int(sides[0])
