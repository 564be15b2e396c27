"""Draw what mixing does to pictures: python tools/mixing/sheet.py PHOTOS TAESD -o docs/images

PHOTOS is a folder of photographs, TAESD one with the encoder and decoder of FLUX.2's tiny autoencoder. It writes
mixing.jpg (an even mix in pixels, the plain average of latents, slerp and blend, with figures) and mixing-ways.jpg (the
other ways), and prints the figures.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image, ImageDraw, ImageFont, ImageOps
from rich.console import Console
from skimage.color import rgb2lab

import fictile
from fictile.autoencoder import KNOWN
from fictile.checkpoint import assemble_autoencoder
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.latent import Latent, mix
from fictile.picture import Picture, from_uint8, to_uint8

SIDE, GAP, WORDS = 320, 10, 58  # pixels of a picture, between two, and for two lines below it
PAIRS = (("dogs", "mountains"), ("fig", "stream"), ("brushes", "dandelions"))  # of photographs
PROMPTS = ("a fox", "a blue car")

Cell = tuple[Picture, str]


def main(
    photos: Annotated[Path, typer.Argument(help="A folder of photographs.")],
    taesd: Annotated[Path, typer.Argument(help="A folder with taef2_encoder.pth and taef2_decoder.pth.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the sheets.")] = Path("docs/images"),
) -> None:
    """Draw both sheets."""
    packaged, tiny = fictile.load(), tiny_flux2(taesd)
    drawn = [Picture(packaged.generate(prompt, seed=0)[0].pixels) for prompt in PROMPTS]
    rows = [halves(drawn[0], drawn[1], packaged.codec)]
    mixed = mix.blend(packaged.encode(drawn[0]), packaged.encode(drawn[1]))
    refined = packaged.generate(PROMPTS[0], init=mixed, strength=0.6, seed=0)[0]
    rows[0].append((Picture(refined.pixels), f'blend, refined 0.6:\n"{PROMPTS[0]}"'))
    for one, other in PAIRS:
        rows.append(halves(photograph(photos / f"{one}.jpg"), photograph(photos / f"{other}.jpg"), tiny))
    sheet(rows).save(output / "mixing.jpg", quality=88)
    sheet(ways(photos, tiny)).save(output / "mixing-ways.jpg", quality=88)


def tiny_flux2(folder: Path) -> AutoencoderCodec:
    """FLUX.2's tiny autoencoder."""
    tensors = {
        f"taesd_{half}.{name}": tensor
        for half in ("encoder", "decoder")
        for name, tensor in torch.load(folder / f"taef2_{half}.pth", weights_only=True).items()
    }
    known = assemble_autoencoder(KNOWN["taef2"], tensors, tensors.__getitem__, where=str(folder))
    return AutoencoderCodec(known, choose_runtime("cpu", "float32"))


def photograph(path: Path) -> Picture:
    """The middle of a photograph."""
    with Image.open(path) as image:
        return Picture(from_uint8(np.array(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)))))


def halves(a: Picture, b: Picture, codec: AutoencoderCodec) -> list[Cell]:
    """Both pictures and their even mixes, each with what it keeps of their contrast and colour."""
    one, other = codec.encode(a), codec.encode(b)
    latents = {"latents: lerp": mix.lerp(one, other), "slerp": mix.slerp(one, other), "blend": mix.blend(one, other)}
    trips = [codec.decode(one), codec.decode(other)]
    mixes = {"pixels": Picture((a.pixels + b.pixels) / 2)} | {n: codec.decode(x) for n, x in latents.items()}
    spread = (variance(one) + variance(other)) / 2
    cells: list[Cell] = [(trips[0], "first"), (trips[1], "second")]
    for name, picture in mixes.items():
        contrast, colour = (kept(picture, trips, measure) for measure in (lightness, chroma))
        figures = f"contrast {contrast:.0%}, colour {colour:.0%}"
        share = f", variance {float((variance(latents[name]) / spread).mean()):.0%}" if name in latents else ""
        Console().print(f"{name:14} {figures}{share}", highlight=False)
        cells.append((picture, f"{name}\n{figures}"))
    return cells


def ways(photos: Path, codec: AutoencoderCodec) -> list[list[Cell]]:
    """The other ways, on photographs."""
    dogs, mountains, fig = (photograph(photos / f"{name}.jpg") for name in ("dogs", "mountains", "fig"))
    a, b, c = (codec.encode(picture) for picture in (dogs, mountains, fig))
    mask = torch.zeros(SIDE, SIDE)
    mask[:, SIDE // 2 :] = 1
    small = codec.encode(Picture(torch.nn.functional.avg_pool2d(fig.pixels, 2)))
    cells: Mapping[str, Callable[[], Latent]] = {
        "transfer\ncolours of the mountains": lambda: mix.transfer(a, b),
        "exchange 24\ncoarse fig, fine dogs": lambda: mix.exchange(c, a, 24),
        "composite\nhard edge": lambda: mix.composite(a, b, mask),
        "composite\nfeather 128": lambda: mix.composite(a, b, mask, feather=128),
        "place: the fig\nfeather 32": lambda: mix.place(b, small, (80, 80), feather=32),
    }
    return [[(codec.decode(make()), name) for name, make in cells.items()]]


def lightness(picture: Picture) -> float:
    """The variance of L* (CIELAB)."""
    return float(rgb2lab(to_uint8(picture.pixels))[..., 0].var())


def chroma(picture: Picture) -> float:
    """The mean square of the distance from grey in CIELAB."""
    return float((rgb2lab(to_uint8(picture.pixels))[..., 1:] ** 2).sum(-1).mean())


def kept(picture: Picture, sources: list[Picture], measure: Callable[[Picture], float]) -> float:
    """As a share of what the sources have on average; of the root, which is what an eye goes by."""
    return (measure(picture) / (sum(map(measure, sources)) / len(sources))) ** 0.5


def variance(latent: Latent) -> torch.Tensor:
    """Of each channel."""
    return latent.data.var((0, 2, 3), correction=0)


def sheet(rows: list[list[Cell]]) -> Image.Image:
    """The pictures in rows, with words below each."""
    font = ImageFont.load_default(22)
    width, height = max(map(len, rows)) * (SIDE + GAP) + GAP, len(rows) * (SIDE + WORDS + GAP) + GAP
    page = Image.new("RGB", (width, height), "white")
    for row, cells in enumerate(rows):
        for column, (picture, words) in enumerate(cells):
            left, top = GAP + column * (SIDE + GAP), GAP + row * (SIDE + WORDS + GAP)
            page.paste(
                Image.fromarray(to_uint8(picture.pixels)).resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top)
            )
            middle = (left + SIDE / 2, top + SIDE + WORDS / 2)
            ImageDraw.Draw(page).text(middle, words, fill="#333333", font=font, anchor="mm", align="center")
    return page


if __name__ == "__main__":
    typer.run(main)
