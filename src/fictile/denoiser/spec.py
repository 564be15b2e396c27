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
    mid_depth: int = 1  # 0: the middle is one residual block, without attention (SSD-1B, Vega)
    heads: tuple[int, ...] = (8, 8, 8, 8)  # attention heads per level; `heads_of_width` where their width is given
    context_width: int = 768
    linear_projection: bool = False  # of the spatial transformer's in and out; otherwise a 1x1 convolution
    groups: int = 32
    added_time_width: int | None = None  # SDXL: each of the size numbers is embedded in this many features (256)
    added_width: int | None = None  # SDXL: pooled text + embedded sizes (2816)
    up_depth: tuple[tuple[int, ...], ...] | None = None  # of each attention on the way up, where not all are `depth`

    def __post_init__(self) -> None:
        depths = [*self.depth, self.mid_depth, *(depth for level in self.up_depth or () for depth in level)]
        if min(*self.widths, *self.heads, self.layers, self.groups, 1) < 1 or min(0, *depths) < 0:
            raise RequestError(f"{self} has a number that is too small; only a depth may be 0, the others start at 1.")
        if not self.widths or not len(self.widths) == len(self.depth) == len(self.heads):
            raise RequestError(
                f"The U-Net has {len(self.widths)} widths, {len(self.depth)} depths and {len(self.heads)} heads; "
                "give one of each per level, finest first."
            )
        if self.up_depth is not None and [len(level) for level in self.up_depth] != [
            self.layers + 1 if depth else 0 for depth in self.depth
        ]:
            raise RequestError(
                f"The U-Net has {self.up_depth} blocks on the way up; give a level with attention {self.layers + 1} "
                "numbers, and one without none."
            )
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
    def up_depths(self) -> tuple[tuple[int, ...], ...]:
        """Transformer blocks of each attention on the way up, per level, finest first; none in a level without."""
        return self.up_depth or tuple((depth,) * (self.layers + 1) if depth else () for depth in self.depth)

    @property
    def embedding_width(self) -> int:
        """Features of the embedded time."""
        return 4 * self.widths[0]

    @property
    def multiple(self) -> int:
        """The network takes heights and widths that are multiples of this, in latent cells."""
        return 2 ** (len(self.widths) - 1)


def heads_of_width(widths: tuple[int, ...], head_width: int) -> tuple[int, ...]:
    """Heads per level where each head is `head_width` wide, as in SD2 and SDXL.

    Raises RequestError when it does not divide a width.
    """
    if head_width < 1 or any(width % head_width for width in widths):
        raise RequestError(f"Heads {head_width} wide do not fill the widths {widths}; choose a divisor of all.")
    return tuple(width // head_width for width in widths)
