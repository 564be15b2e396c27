"""A guided step of Stable Diffusion 1.5 and a decode, by Fictile and by stable-diffusion.cpp, from one random file.

stable-diffusion.cpp is an opt-in: its Python package is compiled where it is installed, for this processor, in some ten
minutes of two cores.

    pip install stable-diffusion-cpp-python
    python -m benchmarks.cpp --precision bf16 --rounds 1

Both draw from the same file in float16, Fictile in the precision given, stable-diffusion.cpp as it does by itself. Each
draws a picture of one step and one of three: half of the difference is a step, without the text, the decode and all
else that a picture needs; what is left of the first is the text and the decode. Nothing is compared but the time: the
two draw their noise and lay out their steps in ways of their own.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer

import fictile
from benchmarks.cases import FULL, GUIDANCE, PROMPT, QUICK
from benchmarks.contest import alternate
from benchmarks.loading import FILE, write_file
from benchmarks.machine import this_machine
from benchmarks.report import caption

PACKAGE = "stable_diffusion_cpp"
FEW, MORE = 1, 3  # steps
Draw = Callable[[int], object]


def fictile_draws(path: Path, side: int, precision: str) -> Draw:
    """A picture of so many steps."""
    model = fictile.load(path, device="cpu", precision=precision)

    def draw(steps: int) -> object:
        return model.generate(PROMPT, seed=0, steps=steps, guidance=GUIDANCE, sampler="euler", size=(side, side))

    return draw


def cpp_draws(path: Path, side: int, *, flash: bool) -> Draw:
    """The same by stable-diffusion.cpp, with or without its flash attention."""
    package: Any = import_module(PACKAGE)
    model = package.StableDiffusion(
        model_path=str(path), n_threads=torch.get_num_threads(), diffusion_flash_attn=flash, verbose=False
    )

    def draw(steps: int) -> object:
        return model.generate_image(
            prompt=PROMPT,
            cfg_scale=GUIDANCE,
            sample_method="euler",
            sample_steps=steps,
            seed=0,
            width=side,
            height=side,
        )

    return draw


def measure(draws: Mapping[str, Draw], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """For each side the seconds of a step and of what is beside the steps, in every round."""
    for draw in draws.values():
        draw(FEW)
    runs = {f"{name}, {steps}": partial(draw, steps) for name, draw in draws.items() for steps in (FEW, MORE)}
    seconds = alternate(runs, rounds)
    found = dict[str, tuple[list[float], list[float]]]()
    for name in draws:
        few, more = (seconds[f"{name}, {steps}"] for steps in (FEW, MORE))
        steps = [(long - short) / (MORE - FEW) for short, long in zip(few, more, strict=True)]
        found[name] = steps, [short - FEW * step for short, step in zip(few, steps, strict=True)]
    return found


def main(
    precision: Annotated[str, typer.Option(help="Of Fictile: bf16 or float32.")] = "bf16",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="On both sides.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small networks, to see that Fictile's side runs.")] = False,
) -> None:
    """Measure a step and the rest of a picture on both sides, in turns."""
    if threads is not None:
        torch.set_num_threads(threads)
    scale = QUICK if quick else FULL
    side = scale.cells * 8
    with TemporaryDirectory() as name:
        write_file(Path(name), scale)
        path = Path(name) / FILE
        draws = {"Fictile": fictile_draws(path, side, precision)}
        if not quick:
            draws["stable-diffusion.cpp"] = cpp_draws(path, side, flash=False)
            draws["stable-diffusion.cpp, flash attention"] = cpp_draws(path, side, flash=True)
        found = measure(draws, rounds)
    print(caption(this_machine()), end="\n\n")
    print(
        f"{side}x{side}, Fictile in {precision}, {rounds} rounds:\n\n| side | a step | the rest | ratio of the steps |"
    )
    print("|---|---|---|---|")
    for name, (steps, rest) in found.items():
        ratio = median(our / step for our, step in zip(found["Fictile"][0], steps, strict=True))
        print(f"| {name} | {median(steps):.2f} s | {median(rest):.2f} s | {ratio:.3f} |")


if __name__ == "__main__":
    typer.run(main)
