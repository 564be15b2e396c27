"""What a network is made of, to someone who reads it in bands of rows.

A network is a flat list of stages. What flows from one to the next is a bundle of maps, `Rows`: the same rows of every
map that is alive, the newest last. Most stages change the newest only. A residual block is `Keep` (the newest, once
more), its branch, and `Add`.

`Local` needs a few rows above and below; it makes a whole picture's answer from bands, because `Flow` hands on the rows
that the next band needs too. A `Barrier` needs the whole picture before its first row can be computed: all of its input
must be `take`n first, which is a pass of its own, and only then may it be called.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Rows = tuple[Tensor, ...]  # each "1 c rows w", with its own c

SCORES = 2**24  # how many scores of attention are in memory at once where the back end keeps them: 64 MiB in float32


@dataclass(frozen=True, kw_only=True)
class Local:
    """Every `stride` rows of the newest map become `growth` rows.

    The function is given n * stride rows with `before` more above and `after` more below, zeros beyond the picture's
    border, and returns n * growth rows. It pads at the left and the right by itself. With `activated` the rows go
    through SiLU first, on their way to where they are put beside those above and below.
    """

    function: Callable[[Tensor], Tensor]
    before: int = 0
    after: int = 0
    stride: int = 1
    growth: int = 1
    activated: bool = False


@dataclass(frozen=True)
class Keep:
    """The newest map, once more: one of the two for a branch, the other for beside it."""


@dataclass(frozen=True, kw_only=True)
class Add:
    """The two newest maps become their sum, the older one through `shortcut`."""

    shortcut: Callable[[Tensor], Tensor] | None = None


class Barrier(ABC):
    """A layer for which every row depends on the whole picture."""

    @abstractmethod
    def take(self, rows: Float[Tensor, "1 c rows w"], height: int) -> None:
        """Learn from the next rows of its input, of `height` in all; each is taken once, from top to bottom."""

    @abstractmethod
    def __call__(self, rows: Float[Tensor, "1 c rows w"]) -> Float[Tensor, "1 d rows w"]:
        """The answer in any rows, after all were taken."""


Stage = Local | Keep | Add | Barrier


class GlobalNorm(Barrier):
    """Group norm with the statistics of the whole picture (arXiv 1803.08494).

    Each band's mean and variance are taken per channel and merged at the end in float64 (Chan, Golub, LeVeque 1983,
    "Algorithms for computing the sample variance", equation 2.1), so that nothing cancels where a mean is large.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        self._norm = norm
        self._moments: list[tuple[int, Tensor, Tensor]] = []  # rows, mean and variance per channel, of each band
        self._affine: tuple[Tensor, Tensor] | None = None

    def take(self, rows: Float[Tensor, "1 c rows w"], height: int) -> None:
        if rows.dtype == torch.float32 or rows.device.type != "cpu":
            wide = rows[0].float()
            mean = wide.mean(dim=(1, 2))
            variance = (wide - mean[:, None, None]).square_().mean(dim=(1, 2))
        else:  # in one operation, whose plain sums in float32 are as good as such numbers are
            mean, variance = torch.batch_norm_update_stats(rows, None, None, 0.0)
        self._moments.append((rows.shape[2], mean, variance))

    def __call__(self, rows: Float[Tensor, "1 c rows w"]) -> Float[Tensor, "1 c rows w"]:
        if self._affine is None:
            self._affine = self._settled()
        scale, shift = self._affine
        # With a mean of 0 and a variance of 1 this is x * scale + shift, in float32 whatever x is, in one operation.
        return F.batch_norm(rows, torch.zeros_like(shift), torch.ones_like(scale), scale, shift, eps=0.0)

    def _settled(self) -> tuple[Tensor, Tensor]:
        counts, means, variances = zip(*self._moments, strict=True)
        best = torch.float32 if means[0].device.type == "mps" else torch.float64  # MPS has nothing wider
        mean, variance = torch.stack(means).to(best), torch.stack(variances).to(best)  # "bands c"
        weight = torch.tensor(counts, dtype=best, device=mean.device)[:, None] / sum(counts)
        whole = self._per_group((weight * mean).sum(0))
        variance = self._per_group((weight * (variance + (mean - whole).square())).sum(0))
        scale = self._norm.weight * (variance + self._norm.eps).rsqrt()
        shift = self._norm.bias - whole * scale
        return scale.float(), shift.float()

    def _per_group(self, channels: Float[Tensor, "c"]) -> Float[Tensor, "c"]:
        """The mean of each group, once for each of its channels."""
        means = channels.view(self._norm.num_groups, -1).mean(1)
        return means.repeat_interleave(len(channels) // len(means))


class SelfAttention(Barrier):
    """Single-head attention over all positions. Its input is queries, keys and values, one upon the other."""

    def __init__(self) -> None:
        self._keys_values: Tensor | None = None  # "2 cells c"
        self._taken = 0

    def take(self, rows: Float[Tensor, "1 c rows w"], height: int) -> None:
        _, keys, values = tokens(rows).chunk(3, dim=-1)
        if self._keys_values is None:
            self._keys_values = keys.new_empty(2, height * rows.shape[3], keys.shape[-1])
        end = self._taken + keys.shape[0]
        self._keys_values[0, self._taken : end] = keys
        self._keys_values[1, self._taken : end] = values
        self._taken = end

    def __call__(self, rows: Float[Tensor, "1 c rows w"]) -> Float[Tensor, "1 d rows w"]:
        assert self._keys_values is not None, "a barrier is taken before it is called"
        keys, values = self._keys_values[:, None, None]
        queries = tokens(rows).chunk(3, dim=-1)[0][None, None]
        # On a CPU scores are never held, and keys and values are laid out anew for each block of queries.
        most = queries.shape[2] if rows.is_cpu else max(SCORES // keys.shape[2], 1)
        blocks = queries.split(most, dim=2)
        mixed = torch.cat([F.scaled_dot_product_attention(block, keys, values) for block in blocks], dim=2)
        return mixed[0].mT.unflatten(2, rows.shape[2:])


class LinearAttention(Barrier):
    """Attention with ReLU in place of softmax (arXiv 2205.14756, equation 2): two sums over all cells, for each head.

    Its input is queries, keys and values, head by head.
    """

    def __init__(self, head_width: int, epsilon: float) -> None:
        self._head_width, self._epsilon = head_width, epsilon
        self._mixed: Tensor | None = None  # "1 heads width width": values times keys
        self._keys: Tensor | None = None  # "1 heads width 1"

    def take(self, rows: Float[Tensor, "1 c rows w"], height: int) -> None:
        _, keys, values = self._heads(rows)
        mixed, total = values @ keys.mT, keys.sum(-1, keepdim=True)
        self._mixed = mixed if self._mixed is None else self._mixed + mixed
        self._keys = total if self._keys is None else self._keys + total

    def __call__(self, rows: Float[Tensor, "1 c rows w"]) -> Float[Tensor, "1 d rows w"]:
        assert self._mixed is not None, "a barrier is taken before it is called"
        assert self._keys is not None, "both sums are taken together"
        queries, _, _ = self._heads(rows)
        answer = self._mixed @ queries / (self._keys.mT @ queries + self._epsilon)
        return answer.to(rows.dtype).flatten(1, 2).unflatten(2, rows.shape[2:])

    def _heads(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values in float32: each "1 heads width cells", the first two after their ReLU."""
        heads = rows.flatten(2).unflatten(1, (-1, 3 * self._head_width)).float()
        queries, keys, values = heads.chunk(3, dim=2)
        return queries.relu(), keys.relu(), values


class Flow:
    """One stage in one pass from the top of a picture to its bottom."""

    def __init__(self, stage: Stage, height: int) -> None:
        self._stage, self._height = stage, height
        self._seen = 0  # rows
        self._window: Tensor | None = None  # of the newest map: what the next rows need to see too
        self._others: list[Tensor] = []  # of the older maps: what waits for the newest

    def push(self, rows: Rows) -> Rows | None:
        """The rows that these rows complete, if any."""
        *others, newest = rows
        match self._stage:
            case Keep():
                return (*rows, newest)
            case Add(shortcut=shortcut):
                *others, older = others
                return (*others, shortcut(older).add_(newest) if shortcut else older + newest)
            case Barrier():
                return (*others, self._stage(newest))
            case Local(function=function, before=0, after=0, stride=1, activated=False):
                return (*others, function(newest))
            case Local():
                return self._through(self._stage, others, newest)

    def _through(self, stage: Local, others: list[Tensor], newest: Tensor) -> Rows | None:
        self._seen += newest.shape[2]
        zeros = stage.before if self._window is None else 0
        below = stage.after if self._seen == self._height else 0
        window = _window(self._window, newest, zeros, below, activated=stage.activated)
        others = [_joined(*pair) for pair in zip(self._others, others, strict=True)] if self._others else others
        ready = (window.shape[2] - stage.before - stage.after) // stage.stride
        used = max(ready, 0) * stage.stride
        # Slices are copied: they would hold the whole band in memory until the next one comes.
        self._window = window[:, :, used:].clone()
        self._others = [other[:, :, used:].clone() for other in others]
        if ready < 1:
            return None
        window = window[:, :, : stage.before + used + stage.after]
        return (*(other[:, :, :used] for other in others), stage.function(window))


def _window(before: Tensor | None, newest: Tensor, above: int, below: int, *, activated: bool) -> Tensor:
    """What waited, if anything, and the newest rows under so many of zeros and over so many."""
    waiting = 0 if before is None else before.shape[2]
    if not (waiting or above or below or activated):
        return newest
    start = waiting + above
    end = start + newest.shape[2]
    window = like(newest, end + below)
    if before is not None:
        window[:, :, :waiting] = before
    window[:, :, waiting:start].zero_()
    window[:, :, end:].zero_()
    if activated:
        torch.ops.aten.silu.out(newest, out=window[:, :, start:end])
    else:
        window[:, :, start:end] = newest
    return window


def _joined(*bands: Tensor) -> Tensor:
    """Bands upon one another. Empty ones are left out: beside them torch forgets the memory format."""
    there = [band for band in bands if band.shape[2]]
    return torch.cat(there, dim=2) if len(there) > 1 else there[0]


def height_after(stage: Stage, height: int) -> int:
    """How many rows the newest map has after the stage."""
    return height * stage.growth // stage.stride if isinstance(stage, Local) else height


def tokens(rows: Float[Tensor, "1 c rows w"]) -> Float[Tensor, "cells c"]:
    """Cells in a row, each with its channels."""
    return rows[0].flatten(1).mT


def valid(conv: nn.Conv2d, rows: Float[Tensor, "1 c rows w"]) -> Float[Tensor, "1 d rows2 w2"]:
    """The convolution without the zeros above and below that its padding would add."""
    _, side = conv.padding
    return F.conv2d(rows, conv.weight, conv.bias, conv.stride, (0, int(side)), conv.dilation, conv.groups)


def convolution(conv: nn.Conv2d) -> Local:
    """A convolution with its usual padding of zeros, half its kernel on all sides."""
    kernel, stride, padding = (int(numbers[0]) for numbers in (conv.kernel_size, conv.stride, conv.padding))
    return Local(
        function=lambda rows: valid(conv, rows), before=padding, after=kernel - stride - padding, stride=stride
    )


def like(one: Float[Tensor, "1 c rows w"], rows: int) -> Float[Tensor, "1 c rows2 w"]:
    """Room for more rows of the same kind, in the same memory format."""
    channels_last = one.is_contiguous(memory_format=torch.channels_last) and not one.is_contiguous()
    kept = torch.channels_last if channels_last else torch.contiguous_format
    shape = (1, one.shape[1], rows, one.shape[3])
    return torch.empty(shape, dtype=one.dtype, device=one.device, memory_format=kept)
