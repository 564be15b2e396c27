"""What a U-Net is made of, as data."""

from dataclasses import dataclass

from fictile.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class UNetSpec:
    """The U-Net of the Stable Diffusion family (arXiv 2112.10752, 2307.01952), in numbers.

    One entry per level, finest first. A level whose `depth` is 0 has no attention. Numbers that make no network raise
    RequestError.
    """

    in_channels: int = 4  # 4 plain, 5 depth, 8 instruct-pix2pix, 9 inpainting
    out_channels: int = 4
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2  # residual blocks per down level; an up level has one more
    depth: tuple[int, ...] = (1, 1, 1, 0)  # transformer blocks in each attention of the level
    mid_depth: int = 1
    heads: tuple[int, ...] = (8, 8, 8, 8)  # attention heads per level
    context_width: int = 768
    linear_projection: bool = False  # of the spatial transformer's in and out; otherwise a 1x1 convolution
    groups: int = 32
    added_time_width: int | None = None  # SDXL: each of the size numbers is embedded in this many features (256)
    added_width: int | None = None  # SDXL: pooled text + embedded sizes (2816)

    def __post_init__(self) -> None:
        if not self.widths or not len(self.widths) == len(self.depth) == len(self.heads):
            raise RequestError(
                f"The U-Net has {len(self.widths)} widths, {len(self.depth)} depths and {len(self.heads)} heads; "
                "give one of each per level, finest first."
            )
        if self.mid_depth < 1:
            raise RequestError(f"The U-Net's mid_depth is {self.mid_depth}; give it at least 1 transformer block.")
        if (self.added_time_width is None) != (self.added_width is None):
            raise RequestError(
                f"The U-Net has added_time_width {self.added_time_width} and added_width {self.added_width}; "
                "give both or neither."
            )
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % 2 or width % self.groups or width % heads:
                raise RequestError(
                    f"A level of the U-Net has width {width}, {heads} heads and {self.groups} groups; "
                    "give an even width that heads and groups divide."
                )

    @property
    def embedding_width(self) -> int:
        """Features of the embedded time."""
        return 4 * self.widths[0]

    @property
    def multiple(self) -> int:
        """The network takes heights and widths that are multiples of this, in latent cells."""
        return 2 ** (len(self.widths) - 1)
