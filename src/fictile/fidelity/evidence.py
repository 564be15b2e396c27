"""What there is to see: previews, where it hurts, and the worst places enlarged."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.ndimage import uniform_filter

from fictile.fidelity.colour import difference_map
from fictile.picture import Picture, to_uint8

PREVIEW = 1024  # pixels: the longest side of a picture in a report
HEAT = 384
REGION, ENLARGED = 64, 256  # pixels along a side of a place, and of the same enlarged
REGIONS = 3
HOTTEST = 20.0  # CIEDE2000: the end of the heat map's scale, where colours have nothing in common any more
# From nothing to the worst: transparent black, violet, orange, pale yellow; perceptually even as far as three steps go.
SCALE = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Region:
    """One of the worst places of a picture, and the same place before and after, enlarged without smoothing."""

    left: int  # pixels
    top: int
    width: int
    height: int
    delta_e: float  # mean CIEDE2000 inside
    before: bytes  # PNG
    after: bytes


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Small pictures of one trip, encoded; the pictures themselves need not be kept."""

    after: bytes  # WebP, as the heat map
    heat: bytes
    regions: tuple[Region, ...]


def evidence(before: Picture, after: Picture) -> Evidence:
    """Look where the two pictures differ.

    Raises:
        RequestError: The sizes differ.
    """
    differences = difference_map(before.pixels, after.pixels)
    old, new = to_uint8(before.pixels), to_uint8(after.pixels)
    return Evidence(
        after=webp(after),
        heat=_heat(differences, old),
        regions=tuple(_region(place, differences, old, new) for place in worst(differences)),
    )


def webp(picture: Picture) -> bytes:
    """The picture for a page, at most PREVIEW pixels along a side."""
    image = Image.fromarray(to_uint8(picture.pixels))
    image.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
    return _encoded(image, "WEBP", quality=88, method=4)


def worst(differences: Float[np.ndarray, "h w"], count: int = REGIONS) -> list[tuple[slice, slice]]:
    """The squares of REGION pixels with the largest mean difference, worst first; no two overlap."""
    height, width = differences.shape
    tall, wide = min(REGION, height), min(REGION, width)
    sums = np.pad(differences, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    means = sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]
    places: list[tuple[slice, slice]] = []
    while len(places) < count and np.isfinite(means).any():
        top, left = (int(index) for index in np.unravel_index(np.argmax(means), means.shape))
        places.append((slice(top, top + tall), slice(left, left + wide)))
        means[max(top - tall + 1, 0) : top + tall, max(left - wide + 1, 0) : left + wide] = -np.inf
    return places


def _region(
    place: tuple[slice, slice],
    differences: Float[np.ndarray, "h w"],
    old: UInt8[np.ndarray, "h w 3"],
    new: UInt8[np.ndarray, "h w 3"],
) -> Region:
    rows, columns = place
    return Region(
        left=columns.start,
        top=rows.start,
        width=columns.stop - columns.start,
        height=rows.stop - rows.start,
        delta_e=float(differences[place].mean()),
        before=_enlarged(old[place]),
        after=_enlarged(new[place]),
    )


def _enlarged(part: UInt8[np.ndarray, "h w 3"]) -> bytes:
    height, width, _ = part.shape
    scale = max(ENLARGED // max(height, width), 1)
    image = Image.fromarray(np.ascontiguousarray(part))
    return _encoded(image.resize((width * scale, height * scale), Image.Resampling.NEAREST), "PNG", optimize=True)


def _heat(differences: Float[np.ndarray, "h w"], old: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The differences, a little smoothed, in colours over a grey and darkened picture."""
    smooth = uniform_filter(differences, size=max(3, min(differences.shape) // 64))
    strength = np.clip(smooth / HOTTEST, 0, 1)
    steps = np.linspace(0, 1, len(SCALE))
    colours = np.stack([np.interp(strength, steps, SCALE[:, channel]) for channel in range(3)], axis=-1)
    grey = old.mean(axis=-1, keepdims=True) * 0.35
    opacity = np.clip(strength[..., None] * 4, 0, 0.85)
    image = Image.fromarray((colours * opacity + grey * (1 - opacity)).round().astype(np.uint8))
    image.thumbnail((HEAT, HEAT), Image.Resampling.LANCZOS)
    return _encoded(image, "WEBP", quality=85)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()
