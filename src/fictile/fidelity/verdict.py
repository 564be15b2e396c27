"""What the numbers mean, in words that need no knowledge of them; and which autoencoder keeps pictures best."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from fictile.errors import RequestError
from fictile.fidelity.report import Report, Trip, roundtrip
from fictile.fidelity.vae import VaeLike
from fictile.picture import Picture

ALIKE = 0.05  # autoencoders whose distances differ by less than this part are taken for equally good
HELD = 0.04  # a change of contrast or saturation by less than this part goes unseen
SHIFT = 3.0  # of 255: the least change of brightness that is called one


@dataclass(frozen=True, kw_only=True)
class Average:
    """The figures of the first pass through one autoencoder, averaged over its pictures (those that have them)."""

    vae: str
    pictures: int
    psnr: float
    ssim: float | None
    ms_ssim: float | None
    perceptual: float | None
    delta_e: float
    delta_e_95: float
    rgb: tuple[float, float, float]
    contrast: float | None
    saturation: float | None
    kept: tuple[float | None, ...]  # for each size of detail, finest first
    present: tuple[float | None, ...]
    bits_per_pixel: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which autoencoder keeps a user's own pictures best, why, and all that was measured."""

    best: str
    reason: str
    ranking: tuple[str, ...]  # best first
    report: Report


def averages(report: Report) -> list[Average]:
    """One for each autoencoder, in the order of the report."""
    return [_average(vae, report.of(vae)) for vae in report.vaes]


def sentence(average: Average) -> str:
    """What will visibly change in pictures like these."""
    changes = [_colours(average), *_tones(average), _texture(average)]
    seen = [change for change in changes if change]
    return f"Through {average.vae}, {', '.join(seen)}."


def headline(report: Report) -> str:
    """The first words of a report: what will visibly change, and which autoencoder to take."""
    words = " ".join(sentence(average) for average in averages(report))
    return f"{words} {choice(report)[1]}" if len(report.vaes) > 1 else words


def compare(
    pictures: str | Path | Picture | Sequence[str | Path | Picture],
    vaes: Sequence[VaeLike],
    *,
    precisions: Sequence[str] = ("auto",),
    device: str = "auto",
) -> Comparison:
    """Pick the autoencoder that keeps these pictures best.

    The measure is the perceptual distance, or without the extra fictile[perceptual] what is missing to an MS-SSIM of 1
    (of small pictures, to an SSIM of 1), averaged over the pictures. Of those within 5% of the best, the one with the
    smallest latent is taken. An autoencoder only serves models of its own latent space: this compares what pictures
    lose, not what fits a model.

    Raises:
        RequestError: As `roundtrip`; or fewer than two autoencoders were given.
    """
    report = roundtrip(pictures, vaes, precisions=precisions, device=device, foretell=False)
    if len(report.vaes) < 2:
        raise RequestError("One autoencoder was given, and there is nothing to compare it with; give two or more.")
    ranking, reason = choice(report)
    return Comparison(best=ranking[0], reason=reason, ranking=ranking, report=report)


def choice(report: Report) -> tuple[tuple[str, ...], str]:
    """The autoencoders, best first, and why the first is."""
    measure, name = _yardstick(report)
    loss = {vae: fmean(measure(trip) for trip in report.of(vae)) for vae in report.vaes}
    bits = {vae: fmean(trip.bits_per_pixel for trip in report.of(vae)) for vae in report.vaes}
    least = min(loss.values())
    alike = [vae for vae in report.vaes if loss[vae] <= least * (1 + ALIKE)]
    ranking = (*sorted(alike, key=lambda vae: bits[vae]), *sorted(set(report.vaes) - set(alike), key=lambda v: loss[v]))
    best, second = ranking[:2]
    if second in alike:
        others = ", ".join(vae for vae in alike if vae != best)
        return ranking, (
            f"{best} and {others} keep them equally well ({name} {loss[best]:.3g} and {loss[second]:.3g}); "
            f"the latent of {best} is no larger."
        )
    wins = sum(
        measure(trip) <= min(measure(other) for other in report.trips if other.picture == trip.picture)
        for trip in report.of(best)
    )
    price = ""
    if bits[best] > bits[second] * (1 + ALIKE):
        price = f", at the price of a latent {bits[best] / bits[second]:.1f} times as large"
    return ranking, (
        f"{best} keeps them best: it comes closest in {wins} of {len(report.pictures)} "
        f"(mean {name} {loss[best]:.3g}, of {second} {loss[second]:.3g}){price}."
    )


def _yardstick(report: Report) -> tuple[Callable[[Trip], float], str]:
    """The best measure of loss that all trips have; 0 is none."""
    if all(trip.first.perceptual is not None for trip in report.trips):
        return lambda trip: trip.first.perceptual or 0.0, "perceptual distance"
    if all(trip.first.ms_ssim is not None for trip in report.trips):
        return lambda trip: 1 - (trip.first.ms_ssim or 0.0), "1 - MS-SSIM"
    if all(trip.first.ssim is not None for trip in report.trips):
        return lambda trip: 1 - (trip.first.ssim or 0.0), "1 - SSIM"
    return lambda trip: trip.first.colour.delta_e, "mean colour difference"


def _average(vae: str, trips: Sequence[Trip]) -> Average:
    first = [trip.first for trip in trips]
    red, green, blue = (fmean(one.colour.rgb[channel] for one in first) for channel in range(3))
    finite = [one.psnr for one in first if math.isfinite(one.psnr)]
    sizes = range(len(first[0].detail))
    return Average(
        vae=vae,
        pictures=len(trips),
        psnr=fmean(finite) if finite else math.inf,
        ssim=_mean(one.ssim for one in first),
        ms_ssim=_mean(one.ms_ssim for one in first),
        perceptual=_mean(one.perceptual for one in first),
        delta_e=fmean(one.colour.delta_e for one in first),
        delta_e_95=fmean(one.colour.delta_e_95 for one in first),
        rgb=(red, green, blue),
        contrast=_mean(one.colour.contrast for one in first),
        saturation=_mean(one.colour.saturation for one in first),
        kept=tuple(_mean(one.detail[size].kept for one in first) for size in sizes),
        present=tuple(_mean(one.detail[size].present for one in first) for size in sizes),
        bits_per_pixel=fmean(trip.bits_per_pixel for trip in trips),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _colours(average: Average) -> str:
    """CIEDE2000: 1 is about the least that an eye tells apart, 2.3 what it does with ease (Mahy et al. 1994)."""
    for least, words in (
        (10.0, "colours change at a glance"),
        (5.0, "colours change visibly"),
        (2.3, "colours differ a little when seen side by side"),
        (1.0, "colours stay, but for differences that are just visible side by side"),
    ):
        if average.delta_e >= least:
            return words
    return "colours stay as they are"


def _tones(average: Average) -> list[str]:
    words: list[str] = []
    brighter = fmean(average.rgb)
    if abs(brighter) >= SHIFT:
        words.append(f"everything gets {'brighter' if brighter > 0 else 'darker'}")
    if average.contrast is not None and abs(average.contrast - 1) >= HELD:
        words.append(f"contrast {'rises' if average.contrast > 1 else 'falls'} by {abs(average.contrast - 1):.0%}")
    if average.saturation is not None and abs(average.saturation - 1) >= HELD:
        change = "rises" if average.saturation > 1 else "falls"
        words.append(f"saturation {change} by {abs(average.saturation - 1):.0%}")
    return words


def _texture(average: Average) -> str:
    finest, fine, *_ = average.kept
    if finest is None or fine is None:
        return ""
    for least, words in (
        (0.9, "and fine texture stays"),
        (0.7, "and the finest texture (hair, grass, small print) gets softer"),
        (0.4, "and much of the finest texture (hair, grass, small print) is lost or redrawn"),
    ):
        if finest >= least:
            return words
    if fine >= 0.6:
        return "and the finest texture (hair, grass, small print) is lost"
    return "and fine detail is lost well beyond texture: small things blur or turn into something else"
