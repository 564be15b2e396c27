"""The levels of the U-Net: down, middle, up."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile.convolution import Conv3x3, DoublingConv3x3
from fictile.denoiser.spec import UNetSpec
from fictile.denoiser.transformer import Reading, SpatialTransformer
from fictile.groupnorm import GroupNorm
from fictile.inplace import add, silu

Shifts = Mapping[nn.Module, Float[Tensor, "_ _"]]
"""What the time adds to each residual block: rows, its channels."""


class ResBlock(nn.Module):
    """Two convolutions, what the time says added between them, and a way around both."""

    def __init__(self, in_width: int, width: int, spec: UNetSpec) -> None:
        super().__init__()
        self.norm1 = GroupNorm(spec.groups, in_width)
        self.conv1 = Conv3x3(in_width, width)
        self.time_emb_proj = nn.Linear(spec.embedding_width, width)
        self.norm2 = GroupNorm(spec.groups, width)
        self.conv2 = Conv3x3(width, width)
        self.conv_shortcut = nn.Identity() if in_width == width else nn.Conv2d(in_width, width, 1)

    def forward(self, x: Float[Tensor, "b i h w"], shifts: Shifts) -> Float[Tensor, "b o h w"]:
        hidden = add(self.conv1(silu(self.norm1(x))), shifts[self][:, :, None, None])
        hidden = silu(self.norm2(hidden))  # of its own line: what it was made of is let go before the convolution
        return add(self.conv2(hidden), self.conv_shortcut(x))


class Downsample(nn.Module):
    """Half the height and width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h//2 w//2"]:
        return self.conv(x)


class Upsample(nn.Module):
    """Twice the height and width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = DoublingConv3x3(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
        return self.conv(x)


class DownBlock(nn.Module):
    """One level on the way down. Returns what each of its steps made, for the way up; the last is its output."""

    def __init__(self, spec: UNetSpec, level: int) -> None:
        super().__init__()
        width = spec.widths[level]
        widths = [spec.widths[max(level - 1, 0)], *[width] * spec.layers]
        self.resnets = nn.ModuleList(ResBlock(widths[j], width, spec) for j in range(spec.layers))
        self.attentions = _attentions(spec, level, [spec.depth[level]] * spec.layers)
        self.downsamplers = nn.ModuleList([Downsample(width)] if level < len(spec.widths) - 1 else [])

    def forward(
        self, x: Float[Tensor, "b c h w"], shifts: Shifts, text: Reading, layers: int | None = None
    ) -> list[Tensor]:
        """With `layers`, only so many residual blocks, and no coarser map."""
        outputs: list[Tensor] = []
        for j, resnet in enumerate(self.resnets[:layers]):
            x = resnet(x, shifts)
            if self.attentions:
                x = self.attentions[j](x, text)
            outputs.append(x)
        if layers is None:
            outputs += [downsample(x) for downsample in self.downsamplers]
        return outputs


class MidBlock(nn.Module):
    """The coarsest place: residual block, attention, residual block; with a depth of 0, the first alone."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        width = spec.widths[-1]
        self.resnets = nn.ModuleList(ResBlock(width, width, spec) for _ in range(2 if spec.mid_depth else 1))
        self.attentions = _attentions(spec, -1, [spec.mid_depth])

    def forward(self, x: Float[Tensor, "b c h w"], shifts: Shifts, text: Reading) -> Float[Tensor, "b c h w"]:
        x = self.resnets[0](x, shifts)
        for attention, resnet in zip(self.attentions, self.resnets[1:], strict=True):
            x = resnet(attention(x, text), shifts)
        return x


class UpBlock(nn.Module):
    """One level on the way up. Each residual block also reads what the way down made, the latest first."""

    def __init__(self, spec: UNetSpec, level: int) -> None:
        super().__init__()
        width = spec.widths[level]
        coarser, finer = spec.widths[min(level + 1, len(spec.widths) - 1)], spec.widths[max(level - 1, 0)]
        inputs = [coarser, *[width] * spec.layers]
        skips = [*[width] * spec.layers, finer]
        self.resnets = nn.ModuleList(ResBlock(i + s, width, spec) for i, s in zip(inputs, skips, strict=True))
        self.attentions = _attentions(spec, level, spec.up_depths[level])
        self.upsamplers = nn.ModuleList([Upsample(width)] if level > 0 else [])

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        skips: Sequence[Tensor],
        shifts: Shifts,
        text: Reading,
        start: int = 0,
    ) -> Float[Tensor, "b o h2 w2"]:
        """As many residual blocks as there are skips, from the `start`-th on."""
        for j, skip in enumerate(skips, start):
            x = self.resnets[j](torch.cat([x, skip], dim=1), shifts)
            if self.attentions:
                x = self.attentions[j](x, text)
        for upsample in self.upsamplers:
            x = upsample(x)
        return x


def _attention(spec: UNetSpec, level: int, depth: int) -> SpatialTransformer:
    return SpatialTransformer(
        spec.widths[level],
        depth=depth,
        heads=spec.heads[level],
        context_width=spec.context_width,
        groups=spec.groups,
        linear=spec.linear_projection,
    )


def _attentions(spec: UNetSpec, level: int, depths: Sequence[int]) -> nn.ModuleList:
    """One per residual block; none in a level of depth 0."""
    return nn.ModuleList(_attention(spec, level, depth) for depth in depths if depth)
