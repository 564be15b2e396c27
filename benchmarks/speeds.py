"""What leaving out work, or another back end, costs and saves: the packaged model, beside its own exact run.

`python -m benchmarks.speeds` prints the table of docs/speed.md. Times are seconds of the processor, so that other
programs on the machine count little.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median

import torch

import fictile
from benchmarks.machine import this_machine
from benchmarks.report import caption
from fictile.denoiser import EXACT, SPEEDS, Guidance
from fictile.engine import COMPILED, OPENVINO, choose_runtime
from fictile.errors import RequestError
from fictile.fidelity.metrics import psnr
from fictile.made import GeneratedPicture
from fictile.model import Model

PROMPTS = ("a red fox", "a green apple", "a house", "a cat with a hat", "a blue car", "a pizza")
INTERVAL = (0.15, 0.85)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to make the same pictures."""

    model: Model
    speed: str = EXACT
    interval: tuple[float, float] = (0.0, 1.0)

    def draw(self, prompt: str) -> tuple[GeneratedPicture, float]:
        """The picture, and the seconds of the processor that it took."""
        scale = self.model.defaults.guidance
        began = time.process_time()
        picture = self.model.generate(
            prompt, seed=0, guidance=Guidance(scale=scale, interval=self.interval), speed=self.speed
        )[0]
        return picture, time.process_time() - began


def ways() -> dict[str, Way]:
    """By what the table calls them; the first is what the others are compared with."""
    runtime = replace(choose_runtime("cpu", "float32"), threads=1)
    eager = fictile.load(runtime=runtime)
    found = {f"speed {speed}": Way(model=eager, speed=speed) for speed in SPEEDS}
    found["guidance interval {} to {}".format(*INTERVAL)] = Way(model=eager, interval=INTERVAL)
    for backend in (OPENVINO, COMPILED):
        with suppress(RequestError):  # it is not to be had here
            choose_runtime("cpu", "float32", backend)
            found[f"back end {backend}"] = Way(model=fictile.load(runtime=replace(runtime, backend=backend)))
    return found


def row(name: str, made: Mapping[str, list[tuple[GeneratedPicture, float]]], first: str) -> tuple[str, ...]:
    """One line of the table: how long, against the first way, and how near to its pictures."""
    pairs = list(zip(made[name], made[first], strict=True))
    near = [psnr(picture.pixels, exact.pixels) for (picture, _), (exact, _) in pairs]
    return (
        name,
        f"{median(seconds for _, seconds in made[name]):.2f} s",
        f"{median(seconds / whole for (_, seconds), (_, whole) in pairs):.2f}",
        "" if name == first else f"{median(near):.1f} dB",
        "" if name == first else f"{min(near):.1f} dB",
    )


def main() -> None:
    """Draw every prompt every way, in turn, and print the table."""
    found = ways()
    first = next(iter(found))
    made: dict[str, list[tuple[GeneratedPicture, float]]] = {name: [] for name in found}
    for way in found.values():
        way.model.generate("a fox", seed=0, steps=1)
    with torch.inference_mode():
        for prompt in PROMPTS:
            for name, way in found.items():
                made[name].append(way.draw(prompt))
    print(caption(this_machine()))
    print("\n| way | a picture (processor time) | of the exact | PSNR, median | PSNR, lowest |\n|---|---|---|---|---|")
    for name in found:
        print(f"| {' | '.join(row(name, made, first))} |")


if __name__ == "__main__":
    main()
