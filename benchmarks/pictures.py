"""A whole picture of Stable Diffusion 1.5's size, prompt to pixels in guided Euler steps, by Fictile and by diffusers.

The weights are random, and the model is a flow, which is what diffusers' side of `packaged` steps too. Beside the same
operations there are Fictile's ways with fewer: guidance in the middle of the steps alone, and two of its speeds. Each
picture is compared with Fictile's own in float32, with guidance at every step.

    python -m benchmarks.pictures --precision bf16 --rounds 3
"""

import math
from collections.abc import Callable
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.cases import FULL, GUIDANCE, PROMPT, QUICK, twin
from benchmarks.contest import alternate
from benchmarks.machine import this_machine
from benchmarks.networks import Scale, strong
from benchmarks.peer import in_each_layout
from benchmarks.report import caption
from fictile.autoencoder import KLAutoencoder, Normalisation
from fictile.checkpoint import Defaults, Parts
from fictile.denoiser import EXACT, Denoiser, Guidance, UNet
from fictile.engine import choose_runtime
from fictile.model import Model
from fictile.schedule import Flow
from fictile.text import TextEncoder, TextSpec, TextTransformer, Tokenizer

FLOW = Flow(shift=1.0)
INTERVAL = (0.15, 0.85)  # of the noise levels
FEWEST = 16  # tokens that the prompt needs
WAYS = {
    "Fictile": ((0.0, 1.0), EXACT),
    "Fictile, guidance in 0.15 to 0.85": (INTERVAL, EXACT),
    "Fictile, fast": ((0.0, 1.0), "fast"),
    "Fictile, both": (INTERVAL, "fast"),
    "Fictile, fastest": ((0.0, 1.0), "fastest"),
}


def random_parts(scale: Scale) -> Parts:
    """A model of this size, always the same, whose decoder keeps the strength of what comes in."""
    torch.manual_seed(0)
    channels = scale.autoencoder.channels
    autoencoder = KLAutoencoder(
        strong(scale.autoencoder), Normalisation((1.0,) * channels, (0.0,) * channels), "random"
    )
    tokenizer = Tokenizer.train([PROMPT, "a house under a blue sky"], vocabulary=280, context=max(scale.tokens, FEWEST))
    special = {name: getattr(tokenizer, name) for name in ("vocabulary", "context", "begin", "end", "pad")}
    text = TextTransformer(TextSpec(width=scale.unet.context_width, heads=scale.unet.heads[0], **special))
    side = scale.cells * scale.autoencoder.factor
    return Parts(
        name="random",
        autoencoder=autoencoder,
        text=TextEncoder(tokenizer, text),
        denoiser=Denoiser(UNet(scale.unet), FLOW, "flow", autoencoder.space),
        defaults=Defaults(size=(side, side), steps=scale.steps, guidance=GUIDANCE),
    )


def drawing(model: Model, steps: int, interval: tuple[float, float], speed: str) -> Callable[[], Tensor]:
    """One picture by Fictile."""
    guidance = Guidance(scale=GUIDANCE, interval=interval)

    def draw() -> Tensor:
        pictures = model.generate(
            PROMPT, seed=0, steps=steps, guidance=guidance, sampler="euler", schedule="simple", speed=speed
        )
        return pictures[0].pixels[None]

    return draw


def psnr(seen: Tensor, exact: Tensor) -> float:
    """Decibels, of the exact picture's own range: a random decoder does not fill all of [-1, 1]."""
    scale = exact.max() - exact.min()
    return -10 * math.log10(((seen - exact) / scale).square().mean())


def main(
    precision: Annotated[str, typer.Option(help="bf16 or float32.")] = "bf16",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny networks, to see that all runs.")] = False,
) -> None:
    """Measure a whole picture by every way, in turns."""
    if threads is not None:
        torch.set_num_threads(threads)
    scale = QUICK if quick else FULL
    parts = random_parts(scale)
    model = Model(parts, choose_runtime("cpu", precision))
    runs = {name: drawing(model, scale.steps, *way) for name, way in WAYS.items()}
    cells = (scale.autoencoder.channels, scale.cells, scale.cells)

    def theirs(layout: torch.memory_format) -> Callable[[], Tensor]:
        pipeline = twin(model, FLOW, layout)
        return lambda: pipeline(PROMPT, seed=0, steps=scale.steps, guidance=GUIDANCE, shape=cells)

    runs |= in_each_layout(theirs)
    with torch.inference_mode():
        reference = Model(parts, choose_runtime("cpu", "float32"))
        exact = drawing(reference, scale.steps, *WAYS["Fictile"])()
        del reference
        near = {name: psnr(run(), exact) for name, run in runs.items()}
        seconds = alternate(runs, rounds)
    side = parts.defaults.size[0]
    print(caption(this_machine()), end="\n\n")
    print(f"{side}x{side}, {scale.steps} steps of Euler, guidance {GUIDANCE:g}, {precision}, {rounds} rounds:\n")
    peer = min((name for name in runs if name.startswith("diffusers")), key=lambda name: median(seconds[name]))
    print(f"| way | seconds | of {peer} | of all rounds | PSNR to Fictile in float32 |\n|---|---|---|---|---|")
    for name, each in seconds.items():
        ratios = [one / other for one, other in zip(each, seconds[peer], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {name} | {median(each):.1f} | {median(ratios):.2f} | {spread} | {near[name]:.1f} dB |")


if __name__ == "__main__":
    typer.run(main)
