"""A picture file that can be painted on without harm to what is not painted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import FictileError, RequestError
from fictile.picture import colour, untouched
from fictile.picture.decode import decode
from fictile.picture.encode import encode, losses
from fictile.picture.metadata import Metadata
from fictile.picture.orientation import as_stored, swaps_sides, upright
from fictile.picture.picture import Picture
from fictile.picture.samples import Samples
from fictile.picture.untouched import Difference

Pixels = Float[Tensor, "3 h w"]
Opacity = Float[Tensor, "rows columns"]  # other names, so that a size that differs is said in words

_SAME = 1e-6  # float32 rounds by less on its way from samples to pixels in [-1, 1] and back


@dataclass(frozen=True, kw_only=True)
class Source:
    """The samples of a file exactly as it stores them, and all that is needed to show them and to write them again.

    What goes into its methods or comes out of them is upright, as the picture is seen; only `samples` are as stored.
    """

    samples: Samples
    metadata: Metadata
    format: str  # Pillow's name of the format it was read from: "PNG", "JPEG", "TIFF", ...
    name: str  # what messages call it: its path

    @property
    def height(self) -> int:
        return self._size[0]

    @property
    def width(self) -> int:
        return self._size[1]

    @property
    def text(self) -> Mapping[str, str]:
        """Texts by key, a recipe among them, as `read_text` gives them."""
        return self.metadata.text

    def picture(self) -> Picture:
        """What the file looks like: sRGB in [-1, 1], over white where it is transparent.

        Colours beyond sRGB are clipped here; in the samples they stay.
        """
        seen = _seen(colour.to_srgb(self.samples), colour.alpha(self.samples))
        return Picture(_tensor(upright(seen, self.metadata.orientation) * 2 - 1), had_alpha=self.samples.alpha)

    def opacity(self) -> Opacity:
        """How opaque each pixel is, from 0 to 1; 1 everywhere in a picture without alpha."""
        return _tensor(upright(colour.alpha(self.samples), self.metadata.orientation))[0]

    def check_paintable(self) -> None:
        """Raise RequestError where `paste` would for the sake of the file: call it before the work."""
        colour.check_profile_takes(self.samples.profile, self.name)

    def paste(self, pixels: Pixels, opacity: Opacity, *, cover: bool = False) -> "Source":
        """Paint `pixels`, in [-1, 1], as strongly as `opacity` says, from 0 to 1.

        At 0 the samples are left alone, bit for bit; at 1 they are replaced. Between them old and new are mixed in
        linear light. Only what is painted goes through the colour profile, and a pixel that already looks exactly as
        the one to be painted is left alone too. Alpha stays as it is, and colours are set so that the pixels are seen
        when the picture lies on white; where it is fully transparent nothing is to be seen, and its colours stay. With
        `cover`, paint is opaque instead, and makes the picture so.
        Returns a new source; the old one is not changed.

        Raises:
            RequestError: the sizes differ, an opacity is outside 0..1, or the colour profile takes no colours.
            FictileError: pixels are not finite.
        """
        self._check_size(pixels, "pixels")
        self._check_size(opacity, "opacity")
        if not bool(((opacity >= 0) & (opacity <= 1)).all()):
            raise RequestError("An opacity is below 0, above 1 or no number: give values from 0 to 1.")
        if not bool(pixels.isfinite().all()):
            raise FictileError("The pixels to paste are not all finite numbers: run again with precision float32.")
        turn = self.metadata.orientation
        strength = as_stored(_array(opacity[None]), turn)
        box = _bounds(strength[..., 0] > 0)
        if box is None:
            return self
        self.check_paintable()
        paint = (as_stored(_array(pixels), turn)[box].clip(-1, 1) + 1) / 2
        array = self.samples.array.copy()
        array[box] = _painted(replace(self.samples, array=array[box]), paint, strength[box], cover=cover)
        return replace(self, samples=replace(self.samples, array=array), metadata=self.metadata.without_thumbnail())

    def extended(self, *, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> "Source":
        """A larger canvas, with white and opaque samples on the sides that grew by so many pixels."""
        turn = self.metadata.orientation
        seen = upright(self.samples.array, turn)
        height, width, channels = seen.shape
        white = colour.from_srgb(np.ones((1, 1, 3), np.float32), self.samples)
        if self.samples.alpha:
            white = np.concatenate([white, np.ones((1, 1, 1), np.float32)], axis=2)
        canvas = np.empty((height + top + bottom, width + left + right, channels), seen.dtype)
        canvas[:] = colour.quantised(white, seen.dtype)
        canvas[top : top + height, left : left + width] = seen
        array = np.ascontiguousarray(as_stored(canvas, turn))
        return replace(self, samples=replace(self.samples, array=array), metadata=self.metadata.without_thumbnail())

    def losses(self, path: str | Path, *, strip: bool = False) -> tuple[str, ...]:
        """What a file at `path` cannot keep, a sentence each: empty where `open_source` gives back equal samples."""
        return losses(self.samples, self.metadata.stripped() if strip else self.metadata, path)

    def save(self, path: str | Path, text: Mapping[str, str] | None = None, *, strip: bool = False) -> None:
        """Write the samples in the format that the extension of `path` names.

        Formats without loss give back the same samples; `losses` says what others do to them. `text` is added to the
        texts that are there, or replaces those of the same key. With `strip`, everything that says who, where, when or
        with what the picture was made is left out (EXIF, XMP, text); its orientation and its colour profile stay.
        Raises RequestError where `check_writable` does.
        """
        metadata = self.metadata.stripped() if strip else self.metadata
        encode(self.samples, replace(metadata, text={**metadata.text, **(text or {})}), path)

    def untouched_hash(self, opacity: Opacity) -> str:
        """SHA-256 over the samples where `opacity` is 0: the same before and after `paste`, save and `open_source`."""
        return untouched.hash_samples(self._upright_samples(), self._untouched(opacity))

    @property
    def _size(self) -> tuple[int, int]:
        height, width = self.samples.array.shape[:2]
        return (width, height) if swaps_sides(self.metadata.orientation) else (height, width)

    def _check_size(self, grid: Tensor, what: str) -> None:
        height, width = grid.shape[-2:]
        if (height, width) != self._size:
            raise RequestError(
                f"The {what} are {width}x{height}, and {self.name} is {self.width}x{self.height}: give both one size."
            )

    def _untouched(self, opacity: Opacity) -> untouched.Where:
        self._check_size(opacity, "opacity")
        return (opacity == 0).cpu().numpy()

    def _upright_samples(self) -> Samples:
        return replace(self.samples, array=upright(self.samples.array, self.metadata.orientation))


def open_source(path: str | Path) -> Source:
    """Read a picture file, its first frame if it is animated (a warning is logged), with all that is kept of it.

    Palettes are promoted to RGB or RGBA, and fewer than 8 bits to 8.
    Raises RequestError for what is missing, no picture, damaged, of high dynamic range, CMYK without a colour profile,
    or so large that it must be a decompression bomb.
    """
    header, samples = decode(path)
    return Source(samples=samples, metadata=header.metadata, format=header.format, name=str(path))


def compare_untouched(a: Source, b: Source, opacity: Opacity) -> Difference:
    """How two pictures differ where `opacity` is 0: sample by sample, or as they are seen if their colours are stored
    in different ways. Raises RequestError if their sizes differ from that of the opacity.
    """
    where = a._untouched(opacity)  # pyright: ignore[reportPrivateUsage] - this function belongs to the class
    b._check_size(opacity, "opacity")  # pyright: ignore[reportPrivateUsage]
    first, second = a._upright_samples(), b._upright_samples()  # pyright: ignore[reportPrivateUsage]
    if untouched.comparable(first, second):
        return untouched.sample_difference(first, second, where)
    views = ((_array(source.picture().pixels)[where] + 1) / 2 for source in (a, b))
    return untouched.measured(*views, by_sample=False)


def _painted(old: Samples, paint: colour.RGB, strength: colour.Plane, *, cover: bool) -> np.ndarray:
    """The samples of `old` with paint on them."""
    rgb, alpha = colour.to_srgb(old), colour.alpha(old)
    same = np.abs(_seen(rgb, alpha) - paint).max(axis=2, keepdims=True) < _SAME
    if cover:
        grown = strength + alpha * (1 - strength)
        weight = np.divide(strength, grown, out=np.zeros_like(grown), where=grown > 0)
        keep = (strength == 0) | (same & (alpha == 1))
    else:
        grown, weight = alpha, strength
        paint = colour.off_white(paint, alpha)
        keep = (strength == 0) | same | (alpha == 0)
    mixed = colour.encoded(weight * colour.linear(paint) + (1 - weight) * colour.linear(rgb))
    mixed = np.where(weight == 1, paint, mixed)
    channels = colour.quantised(colour.from_srgb(mixed, old), old.array.dtype)
    if old.alpha:
        channels = np.concatenate([channels, colour.quantised(grown, old.array.dtype)], axis=2)
    return np.where(keep, old.array, channels)


def _seen(rgb: colour.RGB, alpha: colour.Plane) -> colour.RGB:
    return colour.over_white(rgb.clip(0, 1), alpha)


def _bounds(painted: untouched.Where) -> tuple[slice, slice] | None:
    """The smallest box around what is painted."""
    sides = [np.flatnonzero(painted.any(axis=axis)) for axis in (1, 0)]
    if sides[0].size == 0:
        return None
    rows, columns = (slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    return rows, columns


def _tensor(array: Float[np.ndarray, "h w c"]) -> Float[Tensor, "c h w"]:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1), dtype=np.float32))


def _array(pixels: Float[Tensor, "c h w"]) -> Float[np.ndarray, "h w c"]:
    return pixels.detach().float().cpu().permute(1, 2, 0).numpy()
