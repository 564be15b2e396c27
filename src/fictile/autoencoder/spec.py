"""What an autoencoder is made of, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KLSpec:
    """The KL autoencoder of latent diffusion (arXiv 2112.10752), in numbers.

    `widths` are the channels per level, finest first. With `stem` > 1 the pixels are first folded into channels
    (space-to-depth by `stem`) and unfolded at the end, so that a small network skips the costly full resolution.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2  # residual blocks per encoder level; the decoder has one more
    channels: int = 4  # of the latent
    groups: int = 32  # of every group norm
    quant: bool = True  # 1x1 convolutions around the latent
    mid_attention: bool = True
    stem: int = 1

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return self.stem * 2 ** (len(self.widths) - 1)
