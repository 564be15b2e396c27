"""The report as one HTML page: pictures, plots and style inside, nothing fetched, nothing needed beside it."""

import math
from base64 import b64encode
from importlib.resources import files
from typing import Any, cast

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from fictile import __version__
from fictile.fidelity.detail import BANDS
from fictile.fidelity.perceptual import has_perceptual
from fictile.fidelity.plot import Line, line_chart
from fictile.fidelity.report import Report, Trip
from fictile.fidelity.verdict import averages, choice, sentence

CHANNELS = (("red", "#d64550"), ("green", "#2f9e5b"), ("blue", "#3b7ddd"))
CURVE = "var(--accent)"


def page(report: Report) -> str:
    """The whole page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters = cast(dict[str, Any], environment.filters)
    filters |= {"data": _data, "number": _number, "percent": _percent}
    source = (files("fictile.fidelity") / "page.html.jinja").read_text(encoding="utf-8")
    means = averages(report)
    return environment.from_string(source).render(
        report=report,
        averages=means,
        sentences=[sentence(average) for average in means],
        choice=choice(report)[1] if len(report.vaes) > 1 else None,
        sizes=[f"{finest} to {coarsest} px" for finest, coarsest in BANDS],
        trips={(trip.picture, trip.vae): trip for trip in report.trips},
        psnr_chart=_psnr_chart,
        colour_chart=_colour_chart,
        perceptual=has_perceptual(),
        version=__version__,
    )


def _psnr_chart(trip: Trip) -> Markup:
    """PSNR over the passes, measured and foretold."""
    measured = [figures.psnr for figures in trip.passes]
    foretold = [one.psnr for one in trip.forecast]
    if not all(map(math.isfinite, measured + foretold)):
        return Markup("")
    lines = [Line(name="measured", values=measured, colour=CURVE)]
    if foretold:
        lines.append(_foretold("foretold", [measured[-1], *foretold], CURVE, len(measured)))
    return Markup(line_chart(lines, "PSNR in dB", f"PSNR of {trip.picture} through {trip.vae}, by number of passes"))


def _colour_chart(trip: Trip) -> Markup:
    """The mean shift of red, green and blue over the passes, measured and foretold."""
    lines: list[Line] = []
    for channel, (name, colour) in enumerate(CHANNELS):
        measured = [figures.colour.rgb[channel] for figures in trip.passes]
        lines.append(Line(name=name, values=measured, colour=colour))
        if trip.forecast:
            values = [measured[-1], *(one.rgb[channel] for one in trip.forecast)]
            lines.append(_foretold(name, values, colour, len(measured)))
    label = f"Mean shift of red, green and blue of {trip.picture} through {trip.vae}, by number of passes"
    return Markup(line_chart(lines, "mean shift of 255", label))


def _foretold(name: str, values: list[float], colour: str, start: int) -> Line:
    return Line(name=name, values=values, colour=colour, start=start, forecast=True)


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def _number(value: float | None, digits: int, *, signed: bool = False) -> str:
    if value is None:
        return "\N{EN DASH}"
    if not math.isfinite(value):
        return "equal"
    return f"{value:{'+' if signed else ''}.{digits}f}"


def _percent(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:z.0%}"  # z: never "-0%"
