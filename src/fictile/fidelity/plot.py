"""Line charts as SVG that goes into a page: no library, no script, and legible on a phone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 10, 46


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values of passes 1, 2, 3 ..., or from `start` on."""

    name: str
    values: Sequence[float]
    colour: str  # a CSS colour
    start: int = 1
    forecast: bool = False  # dashed


def line_chart(lines: Sequence[Line], unit: str, label: str) -> str:
    """The lines over the number of passes, as one SVG element; `label` says what it shows to those who hear it."""
    values = [value for line in lines for value in line.values]
    last = max(line.start + len(line.values) - 1 for line in lines)
    ticks = _ticks(min(values), max(values))
    bottom, top = ticks[0], ticks[-1]

    def x(number: int) -> float:
        return LEFT + (number - 1) / max(last - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">']
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for number in range(1, last + 1, math.ceil(last / 10)):
        parts.append(f'<text x="{x(number):.1f}" y="{HEIGHT - 28}" text-anchor="middle">{number}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}" class="unit">{escape(unit)}, by number of passes</text>')
    for line in sorted(lines, key=lambda line: not line.forecast):
        places = [(x(line.start + index), value) for index, value in enumerate(line.values)]
        points = " ".join(f"{at:.1f},{y(value):.1f}" for at, value in places)
        kind = "forecast" if line.forecast else "measured"
        parts.append(f'<polyline class="{kind}" points="{points}" stroke="{line.colour}"/>')
        if not line.forecast:
            parts += [f'<circle cx="{at:.1f}" cy="{y(value):.1f}" r="3" fill="{line.colour}"/>' for at, value in places]
    return "".join([*parts, "</svg>"])


def _ticks(low: float, high: float) -> list[float]:
    """Four to seven round numbers that enclose both."""
    span = max(high - low, 1e-6)
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]
