"""What a step of Stable Diffusion 1.5 takes when work is left out: random weights, 512x512, float32, one thread.

`python -m benchmarks.steps` prints the lines for docs/speed.md. Times are seconds of the processor, in turns.
"""

import sys
import time
from statistics import median

import torch
from torch import Tensor

from benchmarks.contest import alternate
from benchmarks.machine import this_machine
from benchmarks.networks import BOTH_BRANCHES
from benchmarks.report import caption
from fictile.convolution import fast_convolutions
from fictile.denoiser import SD15, SPEEDS, CachedSteps, UNet

CELLS, TOKENS = 64, 77


def main(rounds: int = 3) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = UNet(SD15).eval().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stub
    x = torch.randn(BOTH_BRANCHES, SD15.in_channels, CELLS, CELLS)
    with torch.inference_mode():
        shifts, text = network.shifts(torch.tensor([500.0])), network.read(torch.randn(2, TOKENS, SD15.context_width))
        one = {part: (keys[:1], values[:1]) for part, (keys, values) in text.items()}
        speed = SPEEDS["fast"]
        assert speed is not None
        cached = CachedSteps(network, speed)

        def both() -> Tensor:
            return network(x, shifts, text)

        def single() -> Tensor:
            return network(x[:1], shifts, one)

        def pair() -> tuple[Tensor, Tensor]:
            return cached(x, shifts, text), cached(x, shifts, text)

        single()
        with fast_convolutions():
            seconds = alternate(
                {"both branches": both, "one branch": single, "two steps of fast": pair}, rounds, time.process_time
            )
    whole = seconds["both branches"]
    print(caption(this_machine()), end="\n\n")
    print("| step | CPU seconds | of both branches |\n|---|---|---|")
    for name, each in seconds.items():
        ratios = [a / b for a, b in zip(each, whole, strict=True)]
        print(f"| {name} | {median(each):.1f} | {median(ratios):.2f} |")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
