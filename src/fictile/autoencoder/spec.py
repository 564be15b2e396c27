"""What an autoencoder is made of, as data."""

from dataclasses import dataclass

from fictile.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class KLSpec:
    """The KL autoencoder of latent diffusion (arXiv 2112.10752), in numbers.

    `widths` are the channels per level, finest first. With `stem` > 1 the pixels are first folded into channels
    (space-to-depth by `stem`) and unfolded at the end, so that a small network skips the costly full resolution.

    Raises RequestError for a number below 1, or a width that the groups do not divide.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2  # residual blocks per encoder level; the decoder has one more
    channels: int = 4  # of the latent
    groups: int = 32  # of every group norm
    quant: bool = True  # 1x1 convolutions around the latent
    mid_attention: bool = True
    stem: int = 1

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.layers, self.channels, self.groups, self.stem) < 1:
            raise RequestError(f"{self} has a number below 1, or no widths; give whole numbers from 1 on.")
        if any(width % self.groups for width in self.widths):
            raise RequestError(
                f"The widths {self.widths} do not all divide by {self.groups} groups: choose multiples of it."
            )

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return self.stem * 2 ** (len(self.widths) - 1)
