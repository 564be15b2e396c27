"""What further trips through the latent space will do, foretold by making them without measuring on the way.

Where a picture's colours go from pass to pass depends on all of it: neither a law fitted on other pictures, nor a map
of colours fitted on the picture's own first pass, nor the trips of a picture of half the size foretell it to 0.5 of
255. The trips themselves do. A small picture makes them whole, and the forecast is what will be measured. Of a large
one a sample makes them (`sample`), so that a forecast costs no more than four passes over SAMPLE pixels, however large
the picture is; its band says how much that leaves open.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fictile.errors import RequestError
from fictile.fidelity.sample import Sample, draw_sample, expected, features, tile_side
from fictile.fidelity.vae import Codec, one_pass
from fictile.picture import Picture, from_uint8, to_uint8

FORECASTS = ("sample", "whole", "none")
LAST = 5  # the pass that a forecast goes to
SAMPLE = 512 * 512  # pixels that the passes of a large picture are made on
# What each pass over a sample adds to its band for what a network sees of the whole picture, as the statistics of a
# group norm, and a sample cannot give: 8-bit steps of mean colour, and decibels. docs/fidelity.md has the measurements.
FOREIGN_COLOUR, FOREIGN_PSNR = 1.3, 0.2
DECIBELS = 10 / math.log(10)  # per natural logarithm


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one later pass is expected to leave."""

    number: int  # of the pass: 2, 3 ...
    psnr: float  # decibels
    psnr_spread: float  # it should lie within this of it; 0 where the whole picture made the pass
    rgb: tuple[float, float, float]  # mean shift of red, green and blue since the original, in 8-bit steps
    rgb_spread: float
    share: float  # the pixels that made the pass, over those of the picture: 1 is all of it


def check_forecast(name: str) -> None:
    """Raises RequestError for what is no way to foretell."""
    if name not in FORECASTS:
        raise RequestError(f"There is no forecast {name!r}: choose {', '.join(FORECASTS)}.")


def forecast(
    original: Picture, after: Picture, codec: Codec, *, factor: int, done: int = 1, sample: int | None = SAMPLE
) -> tuple[Forecast, ...]:
    """The passes that follow `done` ones, up to the fifth.

    Args:
        original: the picture that set out.
        after: what came back from the last pass made.
        codec: makes the passes.
        factor: pixels along a side of a cell of its latent.
        done: the passes that were made.
        sample: pixels above which a sample of so many makes the passes; None is never. A picture narrower than a tile
            makes them whole.
    """
    size = original.height, original.width
    if sample is None or math.prod(size) <= sample or min(size) < tile_side(factor):
        return tuple(_whole(original, after, codec, done))
    return tuple(_sampled(original, after, codec, done, draw_sample(size, factor, sample)))


def _whole(original: Picture, after: Picture, codec: Codec, done: int) -> Iterator[Forecast]:
    before = _steps(original)
    for number in range(done + 1, LAST + 1):
        _, after = one_pass(after, codec)
        change = _steps(after) - before
        yield _forecast(number, change.mean(axis=(0, 1)), float((change**2).mean()), 0.0, 0.0, 1.0)


def _sampled(original: Picture, after: Picture, codec: Codec, done: int, sample: Sample) -> Iterator[Forecast]:
    before, last = _steps(original), _steps(after)
    known = features(before, last)
    terms, population = sample.means(sample.of(known)), known.mean(axis=(0, 1))
    first, start = sample.of(before), sample.of(last)
    gone, share = (last - before).mean(axis=(0, 1)), sample.pixels / (original.height * original.width)
    part = Picture(from_uint8(sample.of(to_uint8(after.pixels))))
    for number in range(done + 1, LAST + 1):
        _, part = one_pass(part, codec)
        now = _steps(part)
        moved, error = now - start, ((now - first) ** 2).mean(axis=-1, keepdims=True)
        mean, spread = expected(sample.means(np.concatenate([moved, error], axis=-1)), terms, population)
        square = max(float(mean[3]), float(spread[3]), 1 / 12)  # rounding to 8 bits alone leaves that
        colour_spread = float(spread[:3].max()) + (number - done) * FOREIGN_COLOUR
        psnr_spread = DECIBELS * float(spread[3]) / square + (number - done) * FOREIGN_PSNR
        yield _forecast(number, gone + mean[:3], square, colour_spread, psnr_spread, share)


def _forecast(
    number: int, rgb: Float[np.ndarray, "3"], square: float, rgb_spread: float, psnr_spread: float, share: float
) -> Forecast:
    """From the mean shift and the mean squared error in 8-bit steps."""
    red, green, blue = rgb.tolist()
    return Forecast(
        number=number,
        psnr=10 * math.log10(255**2 / square) if square else math.inf,
        psnr_spread=psnr_spread,
        rgb=(red, green, blue),
        rgb_spread=rgb_spread,
        share=share,
    )


def _steps(picture: Picture) -> Float[np.ndarray, "h w 3"]:
    """In 8-bit steps from the middle, channels last."""
    return picture.pixels.detach().cpu().double().permute(1, 2, 0).numpy() * 127.5
