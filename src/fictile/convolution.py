"""Convolutions of 3x3 with fewer multiplications, where a CPU gains by it.

Of each tile of 6x6 the 16 outputs in its middle take 36 multiplications for each pair of channels in place of 144
(Winograd's, arXiv 1509.09308, section 4.3). What is added before and after is little beside it where there are many
channels. In float32 the result is about four times as far from the exact one as a direct convolution's: some 1e-6 of
its norm.

After a map has been doubled by repeating its cells, the nine neighbours of a pixel are four cells, and sums of weights
do for weights: 16 multiplications in place of 36, in every precision.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

TILE, EDGE = 4, 1  # outputs along a side of a tile; what its inputs have more on each side
CHANNELS = 192  # with fewer in or out, the additions cost what they save (measured)
TILES = 64  # in a picture; with fewer, it is the kernels that are costly to transform
BLOCK, KERNELS = 4 << 20, 128 << 20  # bytes of transformed tiles, and of kernels, at a time
CELLS = 256  # of a map that is doubled; with fewer, the sums of weights are costly

_KERNELS = (
    torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64) / 24
)  # G of the paper; its first row is 1/4
_INPUTS = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)  # B transposed
_OUTPUTS = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)  # A transposed

_fast: ContextVar[bool] = ContextVar("fast_convolutions", default=False)


@contextmanager
def fast_convolutions(wanted: bool = True) -> Generator[None]:
    """Inside the block, each `Conv3x3` takes the way with fewer multiplications where it pays; or none, if not wanted.

    It pays in float32 on a CPU, without gradients, for many channels and large maps. Which way is taken depends on
    the size of one picture, never on how many there are.
    """
    token = _fast.set(wanted)
    try:
        yield
    finally:
        _fast.reset(token)


def convolves_fast() -> bool:
    """Whether this is inside of `fast_convolutions`."""
    return _fast.get()


class Conv3x3(nn.Conv2d):
    """A convolution of 3x3 that keeps height and width."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:  # noqa: A002 - torch's own name
        if not torch.is_grad_enabled() and convolves_fast() and self._pays(input):
            return winograd(input, self.weight, self.bias)
        return super().forward(input)

    def _pays(self, x: Tensor) -> bool:
        height, width = x.shape[-2:]
        return (
            x.device.type in {"cpu", "meta"}  # what is counted on the meta device is what a CPU will do
            and x.dtype == self.weight.dtype == torch.float32
            and min(self.in_channels, self.out_channels) >= CHANNELS
            and -(-height // TILE) * -(-width // TILE) >= TILES
        )


class DoublingConv3x3(nn.Conv2d):
    """Doubles height and width by repeating cells, then convolves (see `doubled`)."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:  # noqa: A002 - torch's own name
        return doubled(self, input)


def doubled(conv: nn.Conv2d, x: Float[Tensor, "b c h w"], *, rows: int = 1) -> Float[Tensor, "b o h2 w2"]:
    """Every cell becomes 2x2 equal ones, and a 3x3 convolution that keeps height and width follows.

    With `rows` 0 the first and the last row of x are only there to be seen: the answer begins and ends with the ones
    between them, as if what is above and below x were not a border.
    """
    if pays_doubled(x, conv.weight):
        return folded(x, summed(conv.weight), conv.bias, rows=rows)
    larger = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return F.conv2d(larger if rows else larger[:, :, 1:-1], conv.weight, conv.bias, padding=(rows, 1))


def pays_doubled(x: Tensor, weight: Tensor) -> bool:
    """Whether `folded` is the faster way for a map and the weights of a 3x3 convolution, and may be taken."""
    height, width = x.shape[-2:]
    return (
        not torch.is_grad_enabled()
        and convolves_fast()
        and x.device.type in {"cpu", "meta"}
        and x.dtype == weight.dtype
        and min(weight.shape[:2]) >= CHANNELS
        and height * width >= CELLS
    )


def folded(
    x: Float[Tensor, "b c h w"],
    kernels: Float[Tensor, "2 2 o c 2 2"],
    bias: Float[Tensor, " o"] | None,
    *,
    rows: int = 1,
) -> Float[Tensor, "b o h2 w2"]:
    """`doubled`, from x as it is and the `summed` weights: a convolution for each place in a cell, channels last."""
    count, _, height, width = x.shape
    high = height - 2 + 2 * rows
    y = x.new_empty(count, 2 * high, 2 * width, kernels.shape[2]).permute(0, 3, 1, 2)
    padded = F.pad(x, (1, 1, rows, rows))
    for down in (0, 1):
        for across in (0, 1):
            seen = padded[:, :, down : down + high + 1, across : across + width + 1]
            y[:, :, down::2, across::2] = F.conv2d(seen, kernels[down, across], bias)
    return y


def summed(weight: Float[Tensor, "o c 3 3"]) -> Float[Tensor, "2 2 o c 2 2"]:
    """The weights that fall on the same cell, for the pixel in each place of it: rows of places, and places."""
    exact = weight.float().permute(0, 2, 3, 1)  # where sums are rounded once; channels last
    kernels = weight.new_empty(2, 2, len(weight), 2, 2, weight.shape[1])
    for down in (0, 1):
        tall = torch.stack(_in_pairs(exact, 1, down), dim=1)
        for across in (0, 1):
            kernels[down, across] = torch.stack(_in_pairs(tall, 2, across), dim=2)
    return kernels.permute(0, 1, 2, 5, 3, 4)


def _in_pairs(weight: Tensor, side: int, place: int) -> tuple[Tensor, Tensor]:
    """Of three weights in a row two fall on the same cell: in its first place the last two, else the first two."""
    first, middle, last = weight.unbind(side)
    return (first + middle, last) if place else (first, middle + last)


def winograd(
    x: Float[Tensor, "b c h w"], weight: Float[Tensor, "o c 3 3"], bias: Float[Tensor, " o"] | None
) -> Float[Tensor, "b o h w"]:
    """The convolution with a zero around, in float32, channels last; tiles and kernels go through in blocks."""
    count, channels, height, width = x.shape
    outputs = len(weight)
    high, wide = -(-height // TILE), -(-width // TILE)  # tiles
    y = x.new_empty(count, TILE * high, TILE * wide, outputs)
    size = 36 * channels * x.element_size()  # of one transformed kernel, or tile
    some, rows = max(KERNELS // size, 1), max(min(BLOCK // (size * wide), high), 1)
    for first in range(0, outputs, some):
        kernels = _transformed(weight[first : first + some])
        part = y[..., first : first + some]
        for one, made in zip(x, part, strict=True):
            for top in range(0, high, rows):
                there = min(rows, high - top)
                tiles = _tiles(one, top, there, wide)
                products = torch.bmm(tiles, kernels).view(36, -1)
                finished = torch.mm(_matrix(_OUTPUTS, x), products).view(TILE, TILE, there, wide, -1)
                made[TILE * top : TILE * (top + there)].unflatten(0, (there, TILE)).unflatten(2, (wide, TILE)).copy_(
                    finished.permute(2, 0, 3, 1, 4)
                )
    y = y[:, :height, :width]
    y = y.contiguous() if bias is None else y.add_(bias).contiguous()
    return y.permute(0, 3, 1, 2)


def _transformed(weight: Float[Tensor, "o c 3 3"]) -> Float[Tensor, "36 c o"]:
    outputs, channels = weight.shape[:2]
    places = weight.permute(2, 3, 1, 0).reshape(9, channels * outputs)
    return torch.mm(_matrix(_KERNELS, weight), places).view(36, channels, outputs)


def _tiles(x: Float[Tensor, "c h w"], top: int, high: int, wide: int) -> Float[Tensor, "36 t c"]:
    """The transformed tiles of some rows of them, from the `top`-th on."""
    channels, height, width = x.shape
    first, last = TILE * top - EDGE, min(TILE * (top + high) + EDGE, height)  # of the map's rows
    rows = x[:, max(first, 0) : last].permute(1, 2, 0)
    above, below = max(-first, 0), TILE * (top + high) + EDGE - last
    padded = F.pad(rows, (0, 0, EDGE, TILE * wide + EDGE - width, above, below)).contiguous()
    side = TILE + 2 * EDGE
    down, right, step = padded.stride()
    tiles = padded.as_strided((side, side, high, wide, channels), (down, right, TILE * down, TILE * right, step))
    flat = tiles.reshape(side * side, high * wide * channels)
    return torch.mm(_matrix(_INPUTS, x), flat).view(side * side, high * wide, channels)


def _matrix(one: Tensor, like: Tensor) -> Tensor:
    """What a transform along both sides is, for the numbers of a tile in a row."""
    return torch.kron(one, one).to(like.device, like.dtype)
