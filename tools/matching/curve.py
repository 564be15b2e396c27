"""How sharply the packaged denoiser tells its own latents: a picture and a table for docs/matching.md, and the figures
of `matching/judge.py`. Run as `python -m tools.matching.curve`.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from tools.matching.document import DOCUMENT, put
from tools.matching.matrix import packaged
from tools.matching.variants import Matrix, fine_tuned, permutation, rotation
from torch import Tensor

from fictile.autoencoder import as_kl
from fictile.matching import DenoiserSubject
from fictile.matching.calibration import calibration_pictures, domain_pictures
from fictile.matching.judge import LEVELS, error_curve

WIDE = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # noise over signal
PICTURE = DOCUMENT.parent / "images" / "judge.png"
SIZE, LEFT, TOP, RIGHT, BOTTOM = (1200, 720), 90, 60, 420, 90
LOW, HIGH = 0.02, 10.0  # of the axis, logarithmic
COLOURS = ("#1b7f3b", "#5fb878", "#2f6fd0", "#8a8a8a", "#d08a00", "#c05080", "#c0392b", "#7d3c98", "#000000")


def turned(angle: float) -> Matrix:
    """Pairs of channels, each turned by an angle."""
    matrix = torch.eye(16)
    for first in range(0, 16, 2):
        matrix[first, first] = matrix[first + 1, first + 1] = math.cos(angle)
        matrix[first, first + 1], matrix[first + 1, first] = -math.sin(angle), math.sin(angle)
    return matrix


def swapped(first: int, second: int) -> Matrix:
    """Two channels in each other's place."""
    order = list(range(16))
    order[first], order[second] = second, first
    return torch.eye(16)[order]


def mixes() -> Mapping[str, Matrix]:
    """What its own latents are mixed by."""
    one = torch.ones(16)
    one[5] = -1
    return {
        "channels turned by 0.1 rad": turned(0.1),
        "channels turned by 0.3 rad": turned(0.3),
        "one channel's sign": torch.diag(one),
        "two channels swapped": swapped(3, 9),
        "permuted": permutation(16, 0),
        "rotated": rotation(16, 0),
    }


def main() -> None:
    """Measure, print, draw and write."""
    parts = packaged()
    asked = DenoiserSubject.of(parts)
    assert asked.unasked is not None
    unasked, autoencoder = asked.unasked, parts.autoencoder
    own = autoencoder.encode(domain_pictures("emoji")).mean
    spread = own.std()

    def curve(latents: Float[Tensor, "b c h w"], levels: tuple[float, ...] = WIDE) -> tuple[float, ...]:
        return error_curve(parts.denoiser, unasked, latents * (spread / latents.std()), levels)

    print(f"spread {spread:.3f}, reference {[round(value, 3) for value in curve(own, LEVELS)]}")
    moved = fine_tuned(as_kl(autoencoder).network, 0.1, 0)
    same = autoencoder.normalisation.apply(moved.encode(domain_pictures("emoji"))[0].detach())
    lines = {"its own": curve(own), "its own, decoder moved by 10%": curve(same)}
    lines["its own, of photographs"] = curve(autoencoder.encode(calibration_pictures()).mean)
    lines |= {name: curve(torch.einsum("ij,bjhw->bihw", mix, own)) for name, mix in mixes().items()}
    ratios = {name: excess(line, lines["its own"]) for name, line in lines.items()}
    rows = [
        f"| {name} | {' | '.join(f'{value:.2f}' for value in line)} | {ratios[name]:.1f} |"
        for name, line in lines.items()
    ]
    head = f"| latents | {' | '.join(f'{level:g}' for level in WIDE)} | over its own |"
    put("curve", "\n".join([head, "|---" * (len(WIDE) + 2) + "|", *rows]))
    print("\n".join(rows))
    draw(lines, PICTURE)


def excess(line: tuple[float, ...], own: tuple[float, ...]) -> float:
    """What `judge` calls so: the mean ratio at its levels."""
    at = [WIDE.index(level) for level in LEVELS]
    return math.exp(sum(math.log(line[index] / own[index]) for index in at) / len(at))


def draw(lines: Mapping[str, tuple[float, ...]], path: Path) -> None:
    """The curves, with noise to the right and the error that is left upwards, both logarithmic."""
    image = Image.new("RGB", SIZE, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM

    def place(noise: float, left: float) -> tuple[float, float]:
        across = math.log(noise / WIDE[0]) / math.log(WIDE[-1] / WIDE[0])
        up = math.log(min(max(left, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
        return LEFT + across * width, TOP + (1 - up) * height

    for noise in WIDE:
        pen.line([place(noise, LOW), place(noise, HIGH)], fill="#e4e4e4")
        pen.text(place(noise, LOW), f"\n{noise:g}", fill="#444444", font=font, anchor="ma")
    for left in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        pen.line([place(WIDE[0], left), place(WIDE[-1], left)], fill="#888888" if left == 1 else "#e4e4e4")
        pen.text((LEFT - 10, place(WIDE[0], left)[1]), f"{left:g}", fill="#444444", font=font, anchor="rm")
    pen.text((LEFT, 20), "error left after denoising once / error put in", fill="black", font=font)
    pen.text((LEFT + width / 2, SIZE[1] - 28), "noise over signal", fill="black", font=font, anchor="mm")
    for index, (name, line) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        points = [place(noise, left) for noise, left in zip(WIDE, line, strict=True)]
        pen.line(points, fill=colour, width=3)
        for x, y in points:
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
        y = TOP + 20 + 34 * index
        pen.line([(LEFT + width + 24, y), (LEFT + width + 64, y)], fill=colour, width=4)
        pen.text((LEFT + width + 76, y), name, fill="black", font=font, anchor="lm")
    image.save(path, optimize=True)


if __name__ == "__main__":
    main()
