"""Attention over the cells of a picture, and from them to the text."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from fictile.attention import attend
from fictile.groupnorm import GroupNorm
from fictile.inplace import add, multiply

KeysValues = tuple[Float[Tensor, "_ _ _ _"], Float[Tensor, "_ _ _ _"]]
"""What attention looks among and what it finds there: rows, heads, vectors, features of a head."""

Reading = Mapping[nn.Module, KeysValues]
"""A text as each attention to it reads it."""


class Attention(nn.Module):
    """Multi-head attention of each cell to every vector of `context` (arXiv 1706.03762, equation 1)."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def read(self, context: Float[Tensor, "r n d"]) -> KeysValues:
        """The keys and values of `context`."""
        return self._split(self.to_k(context)), self._split(self.to_v(context))

    def forward(self, x: Float[Tensor, "b t c"], read: KeysValues) -> Float[Tensor, "b t c"]:
        attended = attend(self._split(self.to_q(x)), *read)
        return self.to_out(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b heads t f"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class GEGLU(nn.Module):
    """A linear layer gated by the GELU of another (arXiv 2002.05202, equation 5)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * hidden)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t h"]:
        (value, value_bias), (gate, gate_bias) = zip(self.proj.weight.chunk(2), self.proj.bias.chunk(2), strict=True)
        return multiply(gelu(linear(x, gate, gate_bias)), linear(x, value, value_bias))


class FeedForward(nn.Module):
    """Four times wider and back. The identity stands where the family's weight files count a dropout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, attention to the text, feed-forward: each on normalised input, each added to its input."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, context_width, heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)

    def forward(self, x: Float[Tensor, "b t c"], text: Reading) -> Float[Tensor, "b t c"]:
        normed = self.norm1(x)
        x = add(self.attn1(normed, self.attn1.read(normed)), x)
        x = add(self.attn2(self.norm2(x), text[self.attn2]), x)
        return add(self.ff(self.norm3(x)), x)


class SpatialTransformer(nn.Module):
    """Transformer blocks over the cells of a feature map, added to it (arXiv 2112.10752, appendix E.2.1).

    The projections in and out are 1x1 convolutions or, the same arithmetic with another shape of weight, linear.
    """

    def __init__(self, width: int, *, depth: int, heads: int, context_width: int, groups: int, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.norm = GroupNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width) if linear else nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList(TransformerBlock(width, context_width, heads) for _ in range(depth))
        self.proj_out = nn.Linear(width, width) if linear else nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"], text: Reading) -> Float[Tensor, "b c h w"]:
        normed = self.norm(x)
        tokens = self.proj_in(_tokens(normed)) if self.linear else _tokens(self.proj_in(normed))
        for block in self.transformer_blocks:
            tokens = block(tokens, text)
        return add(_map(self.proj_out(tokens), x) if self.linear else self.proj_out(_map(tokens, x)), x)


def spread(rows: Float[Tensor, "r ..."], count: int) -> Float[Tensor, "{count} ..."]:
    """Each row as often as it takes to have `count`, copies beside each other; of one row, no copies but views."""
    if len(rows) == 1:
        return rows.expand(count, *rows.shape[1:])
    return rows if len(rows) == count else rows.repeat_interleave(count // len(rows), dim=0)


def _tokens(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h*w c"]:
    """One vector per cell: a view, when x lies channels last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _map(tokens: Float[Tensor, "b t c"], like: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The inverse of `_tokens`, of maps of this size: a view that lies channels last."""
    return tokens.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2)
