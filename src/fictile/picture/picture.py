"""One picture in memory."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from fictile.picture.write import save_picture


@dataclass(frozen=True)
class Picture:
    """One RGB picture in memory."""

    pixels: Float[Tensor, "3 h w"]  # float32, -1 is black and 1 is full
    had_alpha: bool = False  # the file had an alpha channel; what it let through is white here

    @property
    def height(self) -> int:
        return self.pixels.shape[-2]

    @property
    def width(self) -> int:
        return self.pixels.shape[-1]

    def save(self, path: str | Path, *, quick: bool = False) -> None:
        """Write the picture in the format that the extension of `path` names; `quick` makes a larger PNG, sooner.

        Raises what `save_picture` does.
        """
        save_picture(self.pixels, path, quick=quick)
