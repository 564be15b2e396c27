"""What can be done to emoji art: other colours, a plain background, two things in one picture.

Every function takes and gives RGBA pictures with straight alpha on a square frame.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv

RGB = tuple[int, int, int]

HUES = {
    "red": 0, "orange": 28, "yellow": 50, "green": 125, "turquoise": 176, "blue": 216, "purple": 275, "pink": 325,
}  # fmt: skip
"""Colours that a thing may be given, as hues in degrees."""

GREY = "grey"  # what has lost its colour

BACKGROUNDS: dict[str, RGB] = {
    "red": (229, 72, 77),
    "orange": (247, 144, 60),
    "yellow": (255, 216, 77),
    "green": (110, 200, 120),
    "turquoise": (70, 200, 195),
    "blue": (90, 150, 255),
    "purple": (160, 110, 225),
    "pink": (255, 165, 200),
    "grey": (190, 195, 202),
    "black": (30, 31, 36),
}

NEAR = 60.0  # degrees around a thing's own hue that change with it: a blue apple keeps its green leaf
SHARE = 0.6  # of all the colour in a thing that lies so near to its own hue
COLOURFUL = 0.22  # mean saturation, weighted by brightness, of a thing with a colour of its own
DIFFERENT = 30.0  # degrees that a new hue lies from the old one at least


def own_hue(picture: Image.Image) -> float | None:
    """The hue that prevails in a thing, in whole degrees; None for a thing of many colours, or of none."""
    hsv, alpha = _hsv(picture)
    weight = alpha * hsv[..., 1] * hsv[..., 2]
    if not weight.any() or weight.sum() < COLOURFUL * alpha.sum():
        return None
    hues = np.bincount((360 * hsv[..., 0]).astype(int).ravel() % 360, weight.ravel(), minlength=360) / weight.sum()
    around = np.abs((np.arange(360) + 180) % 360 - 180)  # degrees from 0
    density = np.exp(-((around / 15) ** 2))
    own = int(_circular(hues, density).argmax())
    return float(own) if _circular(hues, around < NEAR)[own] >= SHARE else None


def colours_for(picture: Image.Image) -> list[str]:
    """The colours that this thing can be given and does not have; none for a thing of many colours."""
    hue = own_hue(picture)
    if hue is None:
        return []
    return [name for name, other in HUES.items() if _apart(hue, other) >= DIFFERENT] + [GREY]


def recoloured(picture: Image.Image, colour: str) -> Image.Image:
    """The thing in one of `HUES` or in grey: its own hue and those near it are turned, others stay."""
    if colour == GREY:
        return Image.merge("LA", (picture.convert("RGB").convert("L"), picture.getchannel("A"))).convert("RGBA")
    hsv, _ = _hsv(picture)
    hue = own_hue(picture)
    assert hue is not None, "only what has one colour can be given another"
    apart = (360 * hsv[..., 0] - hue + 180) % 360 - 180
    hsv[..., 0] = np.where(np.abs(apart) < NEAR, (HUES[colour] + apart) % 360 / 360, hsv[..., 0])
    rgb = Image.fromarray((255 * hsv2rgb(hsv)).round().astype(np.uint8))
    rgb.putalpha(picture.getchannel("A"))
    return rgb


def on_background(picture: Image.Image, colour: str) -> Image.Image:
    """The picture over one of `BACKGROUNDS`, which fills the frame."""
    return Image.alpha_composite(Image.new("RGBA", picture.size, BACKGROUNDS[colour]), picture)


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two things on one ground, each in its half of the frame."""
    side = left.width
    canvas = Image.new("RGBA", left.size)
    ground = round(0.78 * side)
    for thing, middle in ((left, 0.26), (right, 0.74)):
        fitted = _fitted(thing, round(0.46 * side), round(0.6 * side))
        _lay(canvas, fitted, round(middle * side), ground)
    return canvas


def above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """One thing resting on another."""
    side = upper.width
    canvas = Image.new("RGBA", upper.size)
    for thing, ground in ((lower, 0.96), (upper, 0.5)):
        _lay(canvas, _fitted(thing, round(0.7 * side), round(0.46 * side)), side // 2, round(ground * side))
    return canvas


def wearing(head: Image.Image, hat: Image.Image) -> Image.Image:
    """A head with a hat: the hat sits on the top of the head and covers a little of it."""
    side = head.width
    canvas = Image.new("RGBA", head.size)
    face = _fitted(head, round(0.78 * side), round(0.68 * side))
    ground = round(0.97 * side)
    _lay(canvas, face, side // 2, ground)
    cap = _fitted(hat, round(0.66 * face.width), round(0.36 * side))
    _lay(canvas, cap, side // 2, ground - face.height + round(0.45 * cap.height))
    return canvas


def holding(holder: Image.Image, thing: Image.Image) -> Image.Image:
    """A figure with a thing before it, at its lower right."""
    side = holder.width
    canvas = Image.new("RGBA", holder.size)
    _lay(canvas, _fitted(holder, round(0.78 * side), round(0.9 * side)), round(0.42 * side), round(0.95 * side))
    _lay(canvas, _fitted(thing, round(0.42 * side), round(0.42 * side)), round(0.76 * side), round(0.95 * side))
    return canvas


def _hsv(picture: Image.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pixels = np.asarray(picture.convert("RGBA"), dtype=np.float64) / 255
    return rgb2hsv(pixels[..., :3]), pixels[..., 3]


def _apart(hue: float, other: float) -> float:
    """Degrees between two hues, 0 to 180."""
    return abs((hue - other + 180) % 360 - 180)


def _fitted(thing: Image.Image, width: int, height: int) -> Image.Image:
    """What is seen of a thing, as large as fits. Premultiplied while it is scaled, so that no edge turns dark."""
    solid = Image.fromarray(np.asarray(thing.getchannel("A")) > 8)
    seen = thing.crop(solid.getbbox() or (0, 0, 1, 1))
    scale = min(width / seen.width, height / seen.height)
    size = (max(1, round(seen.width * scale)), max(1, round(seen.height * scale)))
    return seen.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")


def _lay(canvas: Image.Image, thing: Image.Image, middle: int, ground: int) -> None:
    """Lay a thing over the canvas, its middle and its lower edge there."""
    canvas.alpha_composite(thing, (max(0, middle - thing.width // 2), max(0, ground - thing.height)))


def _circular(hues: NDArray[np.float64], window: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of a window, which is even, around each of the 360 hues."""
    return np.fft.irfft(np.fft.rfft(hues) * np.fft.rfft(window.astype(float)), 360)
