"""Which pixels of a picture may change, and how much."""

import base64
import binascii
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import max_pool2d

from fictile.errors import RequestError
from fictile.picture.pad import pad_to_multiple
from fictile.picture.source import Source, open_source

LUMA = (0.2126, 0.7152, 0.0722)  # of red, green and blue (ITU-R BT.709)
FULL = 255
_FAINTEST = 1e-5  # less than one step of 16 bit: what is above it is masked


@dataclass(frozen=True, eq=False)
class Mask:
    """How much each pixel may change: 0 not at all, 255 entirely. It is upright, as the picture is seen."""

    values: UInt8[np.ndarray, "h w"]

    @classmethod
    def open(cls, path: str | Path) -> "Mask":
        """From a picture file: white may change, black may not, and neither may what is transparent.

        Of 16 bits the upper 8 count, but nothing that is masked is lost. Raises RequestError as `open_source` does.
        """
        source = open_source(path)
        seen = (source.picture().pixels + 1) / 2  # over white, which is taken off again
        luma = torch.einsum("c,chw->hw", torch.tensor(LUMA), seen) - (1 - source.opacity())
        return cls.of(luma)

    @classmethod
    def of(cls, amount: Float[Tensor, "h w"]) -> "Mask":
        """From amounts between 0 and 1, rounded to 8 bit; what is above 0 stays above 0."""
        values = (amount * FULL).round().clamp(0, FULL)
        return cls(torch.where(amount > _FAINTEST, values.clamp(min=1), 0).to(torch.uint8).cpu().numpy())

    @classmethod
    def where_transparent(cls, source: Source) -> "Mask":
        """What is transparent in a picture may change, as much as it is transparent."""
        return cls.of(1 - source.opacity())

    @classmethod
    def where_colour(cls, source: Source, colour: str, tolerance: int = 0) -> "Mask":
        """The pixels whose red, green and blue are all within `tolerance` steps of 255 of a colour like "#ff00ff".

        Raises RequestError for what is no colour.
        """
        if not re.fullmatch(r"#?[0-9a-fA-F]{6}", colour):
            raise RequestError(f"{colour!r} is no colour; write it as #RRGGBB, such as #ff00ff.")
        wanted = torch.tensor(list(bytes.fromhex(colour.removeprefix("#"))))
        levels = ((source.picture().pixels + 1) * 127.5).round()
        near = (levels - wanted[:, None, None]).abs().amax(0) <= tolerance
        return cls(near.numpy().astype(np.uint8) * FULL)

    @classmethod
    def box(cls, size: tuple[int, int], *, left: int, top: int, width: int, height: int) -> "Mask":
        """A rectangle in a picture of this height and width. Raises RequestError when none of it lies inside."""
        values = np.zeros(size, np.uint8)
        values[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = FULL
        if not values.any():
            raise RequestError(
                f"The box of {width}x{height} at {left},{top} holds no pixel of the picture, which is "
                f"{size[1]}x{size[0]}; give one inside it."
            )
        return cls(values)

    @classmethod
    def everything(cls, size: tuple[int, int]) -> "Mask":
        """All of a picture of this height and width."""
        return cls(np.full(size, FULL, np.uint8))

    @property
    def height(self) -> int:
        return self.values.shape[0]

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def is_empty(self) -> bool:
        """Whether nothing may change."""
        return not self.values.any()

    @property
    def amount(self) -> Float[Tensor, "h w"]:
        """How much each pixel may change, from 0 to 1."""
        return torch.from_numpy(self.values.astype(np.float32) / FULL)

    def __or__(self, other: "Mask") -> "Mask":
        """What either of two masks marks."""
        self.check((other.height, other.width))
        return Mask(np.maximum(self.values, other.values))

    def check(self, size: tuple[int, int]) -> None:
        """Raises RequestError unless the picture has the mask's size."""
        if size != (self.height, self.width):
            raise RequestError(
                f"The mask is {self.width}x{self.height} and the picture {size[1]}x{size[0]}; give a mask of its size."
            )

    def grown(self, pixels: float) -> "Mask":
        """The mask with a rim of so many pixels around it, each of which may change as much as the nearest inside.

        Raises RequestError for a number below 0.
        """
        if not 0 <= pixels < np.inf:
            raise RequestError(f"A mask cannot be grown by {pixels} pixels; give 0 or more.")
        if self.is_empty or pixels == 0:
            return self
        distance, (rows, columns) = _distance(self.values == 0)
        return Mask(np.where(distance <= pixels, self.values[rows, columns], 0))

    def opacity(self, feather: float = 0.0) -> Float[Tensor, "h w"]:
        """How opaque an edit is painted: 1 wherever the mask is above 0, and less and less for `feather` pixels more.

        It is 0 beyond them. Raises RequestError for a feather below 0.
        """
        if not 0 <= feather < np.inf:
            raise RequestError(f"A mask cannot be feathered by {feather} pixels; give 0 or more.")
        if self.is_empty or feather == 0:
            return torch.from_numpy((self.values > 0).astype(np.float32))
        distance, _ = _distance(self.values == 0)
        ramp = np.clip(1 - distance / (feather + 1), 0, 1)
        ramp[distance > feather] = 0
        return torch.from_numpy((ramp * ramp * (3 - 2 * ramp)).astype(np.float32))

    def cells(self, multiple: int, factor: int) -> Float[Tensor, "1 1 H W"]:
        """The mask on a grid of cells of `factor` pixels, of a picture that is mirrored up to a multiple of `multiple`.

        A cell may change as much as the most changeable of its pixels, so that none is lost.
        """
        padded, _ = pad_to_multiple(self.amount[None, None], multiple)
        return max_pool2d(padded, factor)

    def to_text(self) -> str:
        """The mask as a base64 PNG: small, exact, and at home in a recipe."""
        file = io.BytesIO()
        Image.fromarray(self.values).save(file, "PNG", optimize=True)
        return base64.b64encode(file.getvalue()).decode()

    @classmethod
    def from_text(cls, text: str) -> "Mask":
        """The inverse of `to_text`. Raises RequestError for what it did not write."""
        try:
            with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
                if image.mode != "L":
                    raise ValueError(image.mode)
                return cls(np.array(image))
        except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError, ValueError):
            raise RequestError("The mask in the recipe is damaged; give a picture whose recipe is whole.") from None


def _distance(
    outside: Bool[np.ndarray, "h w"],
) -> tuple[Float[np.ndarray, "h w"], tuple[np.ndarray, np.ndarray]]:
    """How far each pixel is from the nearest that is not outside, and which that is."""
    found = distance_transform_edt(outside, return_indices=True)
    distance, nearest = cast(tuple[np.ndarray, np.ndarray], found)
    return distance, (nearest[0], nearest[1])
