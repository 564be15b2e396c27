"""What further trips through the latent space will do, foretold by making them without measuring on the way.

Where a picture's colours go from pass to pass depends on all of it: no law fitted on other pictures, no map of colours
fitted on the picture's own first pass, and no trips of a smaller picture or of a sample of its tiles foretell it to
0.5 of 255 (docs/fidelity.md has what each came to). The trips themselves do, at the price of their time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fictile.fidelity.vae import Codec, one_pass
from fictile.picture import Picture

LAST = 5  # the pass that a forecast goes to


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one later pass will leave."""

    number: int  # of the pass: 2, 3 ...
    psnr: float  # decibels; infinite for an equal picture
    rgb: tuple[float, float, float]  # mean shift of red, green and blue since the original, in 8-bit steps


def forecast(original: Picture, after: Picture, codec: Codec, *, done: int = 1) -> Iterator[Forecast]:
    """The passes that follow `done` ones, up to the fifth.

    Args:
        original: the picture that set out.
        after: what came back from the last pass made.
        codec: makes the passes.
        done: the passes that were made.
    """
    before = _steps(original)
    for number in range(done + 1, LAST + 1):
        _, after = one_pass(after, codec)
        change = _steps(after) - before
        square = float((change**2).mean())
        red, green, blue = change.mean(axis=(0, 1)).tolist()
        psnr = 10 * math.log10(255**2 / square) if square else math.inf
        yield Forecast(number=number, psnr=psnr, rgb=(red, green, blue))


def _steps(picture: Picture) -> Float[np.ndarray, "h w 3"]:
    """In 8-bit steps from the middle, channels last."""
    return picture.pixels.detach().cpu().double().permute(1, 2, 0).numpy() * 127.5
