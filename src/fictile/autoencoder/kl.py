"""The KL autoencoder of latent diffusion (arXiv 2112.10752, appendix G; its layers are those of arXiv 2006.11239).

Parameters are named as in diffusers' `AutoencoderKL`, so that weights travel both ways without a key map.
Convolutions keep torch's own initialisation: it makes every residual branch about a third as strong as its trunk,
which starts training calmly without switching any branch off.
"""

from collections.abc import Iterator
from itertools import chain, pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder.spec import KLSpec
from fictile.convolution import Conv3x3, DoublingConv3x3
from fictile.groupnorm import GroupNorm
from fictile.inplace import add, silu

EPSILON = 1e-6  # of every group norm
LOGVAR_RANGE = (-30.0, 20.0)


def layers_of(levels: nn.ModuleList) -> Iterator[nn.Module]:
    """The layers of all levels, which are lists of them, from the first to the last.

    A level has no `forward` of its own: who calls it would hold its input, the largest map of all, until it is done.
    """
    return chain.from_iterable(part.children() for level in levels for part in level.children())


class Resnet(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, inputs, EPSILON)
        self.conv1 = Conv3x3(inputs, outputs)
        self.norm2 = GroupNorm(groups, outputs, EPSILON)
        self.conv2 = Conv3x3(outputs, outputs)
        self.conv_shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        y = self.conv1(silu(self.norm1(x)))
        y = silu(self.norm2(y))  # of its own line: what it was made of is let go before the convolution
        return add(self.conv2(y), self.conv_shortcut(x))


class Attention(nn.Module):
    """Single-head self-attention over all positions, beside a shortcut."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.group_norm = GroupNorm(groups, width, EPSILON)
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        tokens = self.group_norm(x).flatten(2).transpose(1, 2).unsqueeze(1)  # one head: "b 1 hw c"
        y = F.scaled_dot_product_attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        return x + self.to_out[0](y).squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])


class Downsample(nn.Module):
    """Halves the picture; pads at the right and the bottom only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h//2 w//2"]:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the picture by repeating pixels, then smooths it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = DoublingConv3x3(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
        return self.conv(x)


class DownBlock(nn.Module):
    """One encoder level, run by `layers_of`; every level but the last ends by halving the picture."""

    def __init__(self, inputs: int, outputs: int, layers: int, groups: int, *, last: bool) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * layers
        self.resnets = nn.ModuleList(Resnet(a, b, groups) for a, b in pairwise(widths))
        self.downsamplers = nn.ModuleList([] if last else [Downsample(outputs)])


class UpBlock(nn.Module):
    """One decoder level, run by `layers_of`; every level but the last ends by doubling the picture."""

    def __init__(self, inputs: int, outputs: int, layers: int, groups: int, *, last: bool) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * layers
        self.resnets = nn.ModuleList(Resnet(a, b, groups) for a, b in pairwise(widths))
        self.upsamplers = nn.ModuleList([] if last else [Upsample(outputs)])


class MidBlock(nn.Module):
    """The coarsest level: residual, attention (where the spec has it), residual."""

    def __init__(self, width: int, groups: int, *, attention: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(width, width, groups), Resnet(width, width, groups)])
        self.attentions = nn.ModuleList([Attention(width, groups)] if attention else [])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        for layer in (self.resnets[0], *self.attentions, self.resnets[1]):
            x = layer(x)
        return x


class Encoder(nn.Module):
    """Pixels (folded by the stem) to the moments of the posterior."""

    def __init__(self, spec: KLSpec) -> None:
        super().__init__()
        widths, deepest = spec.widths, len(spec.widths) - 1
        self.conv_in = nn.Conv2d(3 * spec.stem**2, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownBlock(inputs, outputs, spec.layers, spec.groups, last=level == deepest)
            for level, (inputs, outputs) in enumerate(pairwise((widths[0], *widths)))
        )
        self.mid_block = MidBlock(widths[-1], spec.groups, attention=spec.mid_attention)
        self.conv_norm_out = GroupNorm(spec.groups, widths[-1], EPSILON)
        self.conv_out = nn.Conv2d(widths[-1], 2 * spec.channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b moments hz wz"]:
        x = self.conv_in(x)
        for layer in layers_of(self.down_blocks):
            x = layer(x)
        return self.conv_out(silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """A raw latent to pixels (folded by the stem)."""

    def __init__(self, spec: KLSpec) -> None:
        super().__init__()
        widths, finest = (spec.decoder_widths or spec.widths)[::-1], len(spec.widths) - 1
        self.conv_in = nn.Conv2d(spec.channels, widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], spec.groups, attention=spec.mid_attention)
        self.up_blocks = nn.ModuleList(
            UpBlock(inputs, outputs, spec.layers + 1, spec.groups, last=level == finest)
            for level, (inputs, outputs) in enumerate(pairwise((widths[0], *widths)))
        )
        self.conv_norm_out = GroupNorm(spec.groups, widths[-1], EPSILON)
        self.conv_out = nn.Conv2d(widths[-1], 3 * spec.stem**2, 3, padding=1)

    def forward(self, z: Float[Tensor, "b z h w"]) -> Float[Tensor, "b c h2 w2"]:
        x = self.mid_block(self.conv_in(z))
        for layer in layers_of(self.up_blocks):
            x = layer(x)
        return self.conv_out(silu(self.conv_norm_out(x)))


class KL(nn.Module):
    """The bare network. It speaks raw latents; the autoencoder around it normalises them and checks its input."""

    def __init__(self, spec: KLSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)
        self.quant_conv = nn.Conv2d(2 * spec.channels, 2 * spec.channels, 1) if spec.quant else nn.Identity()
        self.post_quant_conv = nn.Conv2d(spec.channels, spec.channels, 1) if spec.quant else nn.Identity()

    def encode(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
        """Mean and log-variance of the raw posterior; pixels in [-1, 1], sides multiples of `spec.factor`."""
        folded = F.pixel_unshuffle(pixels, self.spec.stem)
        return self.posterior(self.quant_conv(self.encoder(folded)))

    def posterior(
        self, moments: Float[Tensor, "b moments h w"]
    ) -> tuple[Float[Tensor, "b z h w"], Float[Tensor, "b z h w"]]:
        """Mean and log-variance, from the last convolution's answer."""
        mean, logvar = moments.chunk(2, dim=1)
        return mean, torch.clamp(logvar, *LOGVAR_RANGE)

    def decode(self, z: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 h w"]:
        """Pixels, about [-1, 1] (not clamped), from a raw latent."""
        return F.pixel_shuffle(self.decoder(self.post_quant_conv(z)), self.spec.stem)

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The round trip through the posterior mean."""
        return self.decode(self.encode(pixels)[0])
