"""The options that several commands share, each declared once, and how their words are read."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fictile.errors import RequestError

if TYPE_CHECKING:
    from fictile.codec import AutoencoderCodec

PICTURE, PROMPT, SAMPLING, MODEL, OUTPUT = (
    "Picture", "Reading the prompt", "Sampling", "Model", "Output"
)  # fmt: skip  # panels of the help page

Negative = Annotated[
    str, typer.Option(metavar="PROMPT", help="What it should not show.", rich_help_panel=PICTURE, show_default=False)
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH", help="In pixels; one number for a square.", rich_help_panel=PICTURE, show_default=False
    ),
]
Count = Annotated[
    int,
    typer.Option("--count", "-n", metavar="N", min=1, help="How many; the i-th has seed + i.", rich_help_panel=PICTURE),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Same seed, same picture; a new one if left out.", rich_help_panel=PICTURE, show_default=False
    ),
]
Weighting = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Brackets: a1111 (weights), no_norm (weights that keep no mean), none (text).",
        rich_help_panel=PROMPT,
    ),
]
ClipSkip = Annotated[
    int,
    typer.Option(
        metavar="N", help="Read the text encoder's N-th layer from the end, as A1111 counts.", rich_help_panel=PROMPT
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(metavar="N", help="More are finer and slower.", rich_help_panel=SAMPLING, show_default=False),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="How closely to follow the prompt, from 1 on.", rich_help_panel=SAMPLING, show_default=False
    ),
]
GuidanceInterval = Annotated[
    str | None,
    typer.Option(
        metavar="LOW-HIGH",
        help="Guide only at these noise levels, 0 clean to 1 noise, such as 0.15-0.85; other steps are half the work.",
        rich_help_panel=SAMPLING,
        show_default=False,
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="euler, euler_ancestral, heun, ddim, ddpm, dpmpp_2m, dpmpp_2m_sde, uni_pc, uni_pc_bh2, lcm.",
        rich_help_panel=SAMPLING,
        show_default=False,
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of the steps: normal, karras, exponential, sgm_uniform, simple, beta, leading, trailing.",
        rich_help_panel=SAMPLING,
        show_default=False,
    ),
]

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
Vae = Annotated[
    Path | None,
    typer.Option(
        metavar="VAE",
        help="An autoencoder in the place of the model's own: a file, a folder, or a model that holds it.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
VaeAlone = Annotated[
    Path | None,
    typer.Option(
        "--vae",
        metavar="VAE",
        help="An autoencoder (a file, a folder, a model that holds it), alone or in the place of --model's own.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", metavar="", help="Take the VAE even if it is of another latent space.", rich_help_panel=MODEL
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
Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Who runs the networks: auto, eager, compiled, openvino, or reference (float32, one by one).",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Speed = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="exact; fast, faster and fastest leave out work, for nearly the same picture.",
        rich_help_panel=SAMPLING,
    ),
]
Tiling = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="In bands, exactly and in little memory: auto (where it must be), on or off.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Hold no more than this, such as 6GiB: of the process on a CPU, of the device on CUDA.",
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


def bytes_of(text: str | None) -> int | None:
    """What "6GiB", "800 MB" or a plain number of bytes says; None of nothing.

    Raises:
        RequestError: The text is no size of memory.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if found is None or not float(found[1]):
        raise RequestError(f"{text!r} is no size of memory; write a number with a unit, such as 6GiB or 800MB.")
    step = 1024 if found[3] else 1000
    return int(float(found[1]) * step ** " kmgt".index(found[2] or " "))


def interval_of(text: str | None) -> tuple[float, float] | None:
    """What "LOW-HIGH" says; None of nothing.

    Raises:
        RequestError: The text is no two numbers.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d*\.?\d+)\s*-\s*(\d*\.?\d+)\s*", text, re.ASCII)
    if found is None:
        raise RequestError(f"{text!r} is no interval; write LOW-HIGH, two numbers from 0 to 1, such as 0.15-0.85.")
    return float(found[1]), float(found[2])


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


def codec(
    model: Path | None,
    vae: Path | None,
    *,
    force: bool,
    device: str,
    precision: str,
    backend: str,
    max_memory: str | None,
) -> "AutoencoderCodec":
    """What encodes and decodes: an autoencoder alone where nothing but it is named, else that of the model."""
    from fictile.loading import load, load_codec

    limit = bytes_of(max_memory)
    if vae is not None and model is None:
        return load_codec(vae, device=device, precision=precision, backend=backend, max_memory=limit)
    maker = load(model, vae=vae, force=force, device=device, precision=precision, backend=backend, max_memory=limit)
    return maker.codec


def four_numbers(text: str, form: str, example: str) -> tuple[int, int, int, int]:
    """The whole numbers in "A,B,C,D" or "A,B,CxD"; `form` says what they mean.

    Raises:
        RequestError: The text does not hold four of them.
    """
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise RequestError(f"{text!r} is not {form}; write four whole numbers, such as {example}.")
    first, second, third, fourth = map(int, parts)
    return first, second, third, fourth
