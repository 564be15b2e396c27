"""What a text transformer is made of, as data."""

from dataclasses import dataclass
from typing import Literal

from fictile.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """The text transformer of CLIP (arXiv 2103.00020), in numbers.

    Raises RequestError for a number below 1, or when the width cannot be shared out among the heads.
    """

    vocabulary: int = 49408
    width: int = 768
    layers: int = 12
    heads: int = 12
    context: int = 77  # tokens, begin and end included
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    projection: int | None = None  # width of the pooled output, when there is a projection
    begin: int = 49406
    end: int = 49407
    pad: int = 49407

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.width, self.layers, self.heads, self.context) < 1:
            raise RequestError(f"{self} has a number below 1: give whole numbers from 1 on.")
        if self.width % self.heads:
            raise RequestError(
                f"A text width of {self.width} does not divide by {self.heads} heads: choose a multiple of those."
            )
