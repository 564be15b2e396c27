"""The deep-compression autoencoder DC-AE (arXiv 2410.10733), Sana's: factors of 32 and more, without a posterior.

Its resampling layers learn only what is missing from a shortcut that folds cells into channels and averages them, or
repeats them and unfolds (figure 4 of the paper). The coarse levels are EfficientViT blocks (arXiv 2205.14756).
Parameters are named as in diffusers' `AutoencoderDC`.
"""

import math
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder.spec import DCSpec
from fictile.convolution import Conv3x3

EPSILON = 1e-5  # of every norm
ATTENTION_EPSILON = 1e-15
EXPANSION = 4  # how much wider the gated convolution is than its block


class RMSNorm(nn.Module):
    """Each cell's channels divided by their root mean square, then scaled and shifted (arXiv 1910.07467)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        wide = x.float()
        normal = (wide * (wide.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()).to(x.dtype)
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class ResBlock(nn.Module):
    """Two 3x3 convolutions and a norm, beside a shortcut."""

    def __init__(self, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.conv1 = Conv3x3(width, width)
        self.activation = nn.ReLU() if batch_norm else nn.SiLU()
        self.conv2 = Conv3x3(width, width, bias=False)
        self.norm = nn.BatchNorm2d(width, EPSILON) if batch_norm else RMSNorm(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.norm(self.conv2(self.activation(self.conv1(x))))


class Gather(nn.Module):
    """Queries, keys and values at one more scale: a depthwise convolution, then one within each head."""

    def __init__(self, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.proj_in = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.proj_out = nn.Conv2d(width, width, 1, groups=heads, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.proj_out(self.proj_in(x))


class LinearAttention(nn.Module):
    """Multi-scale attention with ReLU in place of softmax: linear in the number of cells (arXiv 2205.14756, eq. 2)."""

    def __init__(self, width: int, spec: DCSpec) -> None:
        super().__init__()
        self.head_width = spec.head_width
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        heads = 3 * width // spec.head_width
        self.to_qkv_multiscale = nn.ModuleList(Gather(3 * width, heads, kernel) for kernel in spec.kernels)
        self.to_out = nn.Linear(width * (1 + len(spec.kernels)), width, bias=False)
        self.norm_out = RMSNorm(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        cells = x.movedim(1, -1)
        qkv = torch.cat([self.to_q(cells), self.to_k(cells), self.to_v(cells)], dim=-1).movedim(-1, 1)
        scales = torch.cat([qkv, *(gather(qkv) for gather in self.to_qkv_multiscale)], dim=1)
        heads = scales.flatten(2).unflatten(1, (-1, 3 * self.head_width)).float()  # "b heads 3*width cells"
        q, k, v = heads.chunk(3, dim=2)
        q, k = q.relu(), k.relu()
        mixed = (v @ k.mT) @ q / (k.sum(-1, keepdim=True).mT @ q + ATTENTION_EPSILON)
        y = mixed.to(x.dtype).flatten(1, 2).unflatten(2, x.shape[2:])
        return x + self.norm_out(self.to_out(y.movedim(1, -1)).movedim(-1, 1))


class GatedConv(nn.Module):
    """A wide depthwise convolution, one half of which gates the other, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 2 * EXPANSION * width
        self.conv_inverted = nn.Conv2d(width, inner, 1)
        self.conv_depth = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.conv_point = nn.Conv2d(inner // 2, width, 1, bias=False)
        self.norm = RMSNorm(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        y = gated(self.conv_depth(F.silu(self.conv_inverted(x))))
        return x + self.norm(self.conv_point(y))


class ViTBlock(nn.Module):
    """Attention for what is far, a gated convolution for what is near."""

    def __init__(self, width: int, spec: DCSpec) -> None:
        super().__init__()
        self.attn = LinearAttention(width, spec)
        self.conv_out = GatedConv(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.conv_out(self.attn(x))


class Downsample(nn.Module):
    """Halves the picture, beside the shortcut that folds and averages."""

    def __init__(self, inputs: int, outputs: int, *, fold: bool, shortcut: bool = True) -> None:
        super().__init__()
        self.outputs, self.fold, self.shortcut = outputs, fold, shortcut
        self.conv = (
            nn.Conv2d(inputs, outputs // 4, 3, padding=1)
            if fold
            else nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h//2 w//2"]:
        y = F.pixel_unshuffle(self.conv(x), 2) if self.fold else self.conv(x)
        return y + averaged(F.pixel_unshuffle(x, 2), self.outputs) if self.shortcut else y


class Upsample(nn.Module):
    """Doubles the picture, beside the shortcut that repeats and unfolds."""

    def __init__(self, inputs: int, outputs: int, *, fold: bool, shortcut: bool = True) -> None:
        super().__init__()
        self.outputs, self.fold, self.shortcut = outputs, fold, shortcut
        self.conv = nn.Conv2d(inputs, 4 * outputs if fold else outputs, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d 2*h 2*w"]:
        y = F.pixel_shuffle(self.conv(x), 2) if self.fold else self.conv(F.interpolate(x, scale_factor=2.0))
        return y + F.pixel_shuffle(repeated(x, 4 * self.outputs), 2) if self.shortcut else y


class Encoder(nn.Module):
    """Pixels to a raw latent."""

    def __init__(self, spec: DCSpec) -> None:
        super().__init__()
        widths, folded = spec.widths, not spec.encoder_layers[0]
        self.channels = spec.channels
        self.conv_in = (
            Downsample(3, widths[1], fold=spec.fold, shortcut=False)
            if folded
            else nn.Conv2d(3, widths[0], 3, padding=1)
        )
        self.down_blocks = nn.ModuleList(
            nn.Sequential(
                *blocks(spec, level, spec.encoder_layers[level]),
                *([Downsample(width, widths[level + 1], fold=spec.fold)] if has_step(spec, level) else []),
            )
            for level, width in enumerate(widths)
        )
        self.conv_out = nn.Conv2d(widths[-1], spec.channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b z hz wz"]:
        x = self.conv_in(x)
        for layer in chain.from_iterable(level.children() for level in self.down_blocks):
            x = layer(x)
        return self.conv_out(x) + averaged(x, self.channels)


class Decoder(nn.Module):
    """A raw latent to pixels. Its levels are listed finest first, as the encoder's, and run from the last."""

    def __init__(self, spec: DCSpec) -> None:
        super().__init__()
        widths, folded = spec.widths, not spec.decoder_layers[0]
        finest = widths[1] if folded else widths[0]
        self.conv_in = nn.Conv2d(spec.channels, widths[-1], 3, padding=1)
        self.up_blocks = nn.ModuleList(
            nn.Sequential(
                *([Upsample(widths[level + 1], width, fold=spec.fold)] if has_step(spec, level) else []),
                *blocks(spec, level, spec.decoder_layers[level], batch_norm=spec.batch_norm),
            )
            for level, width in enumerate(widths)
        )
        self.norm_out = RMSNorm(finest)
        self.conv_out = (
            Upsample(finest, 3, fold=spec.fold, shortcut=False) if folded else nn.Conv2d(finest, 3, 3, padding=1)
        )

    def forward(self, z: Float[Tensor, "b z h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        x = self.conv_in(z) + repeated(z, self.conv_in.out_channels)
        for layer in chain.from_iterable(level.children() for level in reversed(self.up_blocks)):
            x = layer(x)
        return self.conv_out(self.norm_out(x).relu())


class DC(nn.Module):
    """The bare network. It speaks raw latents; the autoencoder around it normalises them and checks its input."""

    def __init__(self, spec: DCSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)

    def encode(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
        """The latent and its log-variance, which is minus infinity: there is no doubt about it. Pixels in [-1, 1]."""
        return self.posterior(self.encoder(pixels))

    def posterior(self, z: Float[Tensor, "b z h w"]) -> tuple[Float[Tensor, "b z h w"], Float[Tensor, "b z h w"]]:
        """The latent, and that there is no doubt about it."""
        return z, torch.full_like(z, -math.inf)

    def decode(self, z: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 h w"]:
        """Pixels, about [-1, 1] (not clamped), from a raw latent."""
        return self.decoder(z)


def blocks(spec: DCSpec, level: int, count: int, *, batch_norm: bool = False) -> list[nn.Module]:
    """The blocks of one level of the encoder or the decoder."""
    width = spec.widths[level]
    if level < spec.residual_levels:
        return [ResBlock(width, batch_norm=batch_norm) for _ in range(count)]
    return [ViTBlock(width, spec) for _ in range(count)]


def has_step(spec: DCSpec, level: int) -> bool:
    """Whether a resampling layer lies between this level and the next coarser one."""
    return level < len(spec.widths) - 1 and spec.encoder_layers[level] > 0


def gated(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c//2 h w"]:
    """The first half of the channels, let through by the second."""
    y, gate = x.chunk(2, dim=1)
    return y * F.silu(gate)


def averaged(x: Float[Tensor, "b c h w"], channels: int) -> Float[Tensor, "b d h w"]:
    """Fewer channels, each the mean of neighbours."""
    return x.unflatten(1, (channels, -1)).mean(dim=2)


def repeated(x: Float[Tensor, "b c h w"], channels: int) -> Float[Tensor, "b d h w"]:
    """More channels, each one several times."""
    return x.repeat_interleave(channels // x.shape[1], dim=1)
