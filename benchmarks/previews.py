"""How near previews come to the picture, and what they cost: `python -m benchmarks.previews` prints the table of
docs/latents.md.

A clean latent is looked at, and its full decode shrunk to the preview's own size (a few pixels for each cell; a
decoder's is the full size). Times are seconds of the processor, so that other programs on the machine count little.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

import fictile
from benchmarks.machine import this_machine
from benchmarks.report import caption
from benchmarks.speeds import PROMPTS
from fictile.autoencoder import KNOWN
from fictile.checkpoint import open_autoencoder, read_autoencoder
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.fidelity.metrics import psnr
from fictile.latent import Latent
from fictile.matching import Preview, open_preview
from fictile.model import Model
from fictile.picture import Picture, load_picture

SHARED = Path(__file__).parents[2] / "shared"  # beside the repository: not everybody has it
FLUX2, PHOTOS = SHARED / "weights" / "taesd", SHARED / "photos"
PHOTOGRAPHS = ("brushes", "dandelions", "dogs", "fig", "mountains", "stream")
SIDE, REPEATS = 512, 5


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """What was found of one way to look at latents."""

    name: str
    r2: float | None
    side: int  # pixels of the preview, before it is enlarged
    psnrs: tuple[float, ...]  # decibels, of each picture
    milliseconds: float  # of the processor, for one preview
    saving: float  # the same, to write it to a PNG

    @property
    def median(self) -> float:
        """Of the decibels."""
        return median(self.psnrs)


def measure(
    name: str, preview: Preview, pairs: Sequence[tuple[Latent, Float[Tensor, "3 h w"]]], repeats: int = REPEATS
) -> Nearness:
    """One way to look at latents, beside their full decodes; timed so often."""
    found: list[float] = []
    side = 0
    for latent, decoded in pairs:
        shown = preview.shown(latent)[0]
        height, side = shown.shape[1:]
        found.append(psnr(shown, F.adaptive_avg_pool2d(decoded, (height, side))))
    latent = pairs[0][0]
    picture, looking = preview(latent), _milliseconds(lambda: preview(latent), repeats)
    with TemporaryDirectory() as folder:
        saving = _milliseconds(lambda: picture.save(Path(folder) / "look.png", quick=True), repeats)
    return Nearness(name=name, r2=preview.r2, side=side, psnrs=tuple(found), milliseconds=looking, saving=saving)


def measure_packaged(model: Model, prompts: Sequence[str] = PROMPTS, steps: int | None = None) -> list[Nearness]:
    """The packaged model's latents of what it draws."""
    made = [model.generate(prompt, seed=0, steps=steps)[0] for prompt in prompts]
    pairs = [(picture.latent, picture.pixels) for picture in made]
    return [measure("packaged, by fitted colours", open_preview(model.codec), pairs)]


def measure_flux2(names: Sequence[str] = PHOTOGRAPHS, side: int = SIDE, repeats: int = REPEATS) -> list[Nearness]:
    """FLUX.2's latents of photographs, made and decoded by its tiny autoencoder."""
    file = FLUX2 / "taef2_encoder.pth"
    autoencoder = read_autoencoder(open_autoencoder(file), space=KNOWN["taef2"].space)
    codec = AutoencoderCodec(autoencoder, choose_runtime("cpu", "float32"))
    latents = [codec.encode(_square(PHOTOS / f"{name}.jpg", side)) for name in names]
    pairs = [(latent, codec.decode(latent).pixels) for latent in latents]
    ways = {"flux2, by published colours": None, "flux2, through its tiny decoder": FLUX2 / "taef2_decoder.pth"}
    return [measure(name, open_preview(codec, vae), pairs, repeats) for name, vae in ways.items()]


def _square(path: Path, to: int) -> Picture:
    """The middle of a photograph."""
    pixels = load_picture(path).pixels
    side = min(pixels.shape[1:])
    top, left = ((length - side) // 2 for length in pixels.shape[1:])
    square = pixels[None, :, top : top + side, left : left + side]
    return Picture(F.interpolate(square, (to, to), mode="bicubic", antialias=True)[0].clamp(-1, 1))


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Of the processor: the median of so many runs, after a first where there are more than one."""
    if repeats > 1:
        work()
    taken: list[float] = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return 1000 * median(taken)


def main() -> None:
    """Measure what is there, and print the table."""
    torch.set_num_threads(1)
    found = measure_packaged(fictile.load(device="cpu", precision="float32"))
    if FLUX2.is_dir():
        found += measure_flux2()
    print(caption(this_machine()))
    print("\n| preview | R2 | its own side | PSNR, median | PSNR, lowest | to make | to write |")
    print("|---|---|---|---|---|---|---|")
    for one in found:
        r2 = "" if one.r2 is None else f"{one.r2:.2f}"
        figures = f"{one.median:.1f} dB | {min(one.psnrs):.1f} dB | {one.milliseconds:.1f} ms | {one.saving:.1f} ms"
        print(f"| {one.name} | {r2} | {one.side} | {figures} |")


if __name__ == "__main__":
    main()
