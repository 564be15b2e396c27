"""The causal video autoencoder of Wan 2.1 (arXiv 2503.20314, section 4.1) and Qwen-Image, on single frames.

A causal convolution pads time with zeros before the first frame, so of its kernel's slices only the last one meets that
frame: it is a convolution over the picture with that slice, exactly. The convolutions that change the frame rate leave
the first frame alone. All their weights are kept, so that a file that was read can be written whole.

Parameters are named as in diffusers' `AutoencoderKLWan`.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder.kl import LOGVAR_RANGE, layers_of
from fictile.autoencoder.spec import WanSpec
from fictile.convolution import doubled
from fictile.inplace import add, silu


class CausalConv(nn.Module):
    """A causal convolution over time and space, as the first frame meets it."""

    def __init__(self, inputs: int, outputs: int, size: int, *, over_time: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, over_time or size, size, size))
        self.bias = nn.Parameter(torch.empty(outputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch begins its own convolutions
        nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return F.conv2d(x, self.weight[:, :, -1], self.bias, padding=self.weight.shape[-1] // 2)


class RMSNorm(nn.Module):
    """Each cell's channels divided by their root mean square, then scaled (arXiv 1910.07467).

    `dimensions` of size 1 follow the channels in the gain's shape.
    """

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width, *(1,) * dimensions))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        normal = F.normalize(x.float(), dim=1).to(x.dtype)
        return normal * math.sqrt(x.shape[1]) * self.gamma.view(-1, 1, 1)


class Resnet(nn.Module):
    """Two 3x3(x3) convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = RMSNorm(inputs, 3)
        self.conv1 = CausalConv(inputs, outputs, 3)
        self.norm2 = RMSNorm(outputs, 3)
        self.conv2 = CausalConv(outputs, outputs, 3)
        self.conv_shortcut = nn.Identity() if inputs == outputs else CausalConv(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        y = self.conv1(silu(self.norm1(x)))
        y = silu(self.norm2(y))  # of its own line: what it was made of is let go before the convolution
        return add(self.conv2(y), self.conv_shortcut(x))


class Attention(nn.Module):
    """Single-head self-attention over the positions of a frame, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width, 2)
        self.to_qkv = nn.Conv2d(width, 3 * width, 1)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        tokens = self.to_qkv(self.norm(x)).flatten(2).mT.unsqueeze(1)  # one head: "b 1 hw 3*c"
        y = F.scaled_dot_product_attention(*tokens.chunk(3, dim=-1))
        return x + self.proj(y.squeeze(1).mT.unflatten(2, x.shape[2:]))


class MidBlock(nn.Module):
    """The coarsest level: residual, attention, residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(width, width), Resnet(width, width)])
        self.attentions = nn.ModuleList([Attention(width)])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Downsample(nn.Module):
    """Halves the picture; pads at the right and the bottom only."""

    def __init__(self, width: int, *, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width, width, 3, stride=2))
        if temporal:
            self.time_conv = CausalConv(width, width, 1, over_time=3)  # joins frames, of which there is one

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h//2 w//2"]:
        return self.resample(x)


class Upsample(nn.Module):
    """Doubles the picture by repeating cells, then halves its channels."""

    def __init__(self, width: int, *, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(width, width // 2, 3, padding=1))
        if temporal:
            self.time_conv = CausalConv(width, 2 * width, 1, over_time=3)  # makes two frames of each but the first

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c//2 2*h 2*w"]:
        _, conv = self.resample
        assert isinstance(conv, nn.Conv2d), "the first only repeats cells"
        return doubled(conv, x)


class UpBlock(nn.Module):
    """One decoder level, run by `layers_of`; every level but the last ends by doubling the picture."""

    def __init__(self, inputs: int, outputs: int, layers: int, upsampler: Upsample | None) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * layers
        self.resnets = nn.ModuleList(Resnet(a, b) for a, b in pairwise(widths))
        self.upsamplers = nn.ModuleList([upsampler] if upsampler else [])


class Encoder(nn.Module):
    """Pixels to the moments of the posterior. Its levels stand in one list."""

    def __init__(self, spec: WanSpec) -> None:
        super().__init__()
        widths = spec.widths
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise((widths[0], *widths))):
            layers += [Resnet(a, b) for a, b in pairwise([inputs] + [outputs] * spec.layers)]
            if level < len(spec.temporal):
                layers.append(Downsample(outputs, temporal=spec.temporal[level]))
        self.conv_in = CausalConv(3, widths[0], 3)
        self.down_blocks = nn.ModuleList(layers)
        self.mid_block = MidBlock(widths[-1])
        self.norm_out = RMSNorm(widths[-1], 3)
        self.conv_out = CausalConv(widths[-1], 2 * spec.channels, 3)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b moments hz wz"]:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(silu(self.norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """A raw latent to pixels."""

    def __init__(self, spec: WanSpec) -> None:
        super().__init__()
        widths, temporal = spec.widths[::-1], spec.temporal[::-1]
        blocks: list[UpBlock] = []
        for level, (above, width) in enumerate(pairwise((2 * widths[0], *widths))):
            upsampler = Upsample(width, temporal=temporal[level]) if level < len(temporal) else None
            blocks.append(UpBlock(above // 2, width, spec.layers + 1, upsampler))
        self.conv_in = CausalConv(spec.channels, widths[0], 3)
        self.mid_block = MidBlock(widths[0])
        self.up_blocks = nn.ModuleList(blocks)
        self.norm_out = RMSNorm(widths[-1], 3)
        self.conv_out = CausalConv(widths[-1], 3, 3)

    def forward(self, z: Float[Tensor, "b z h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        x = self.mid_block(self.conv_in(z))
        for layer in layers_of(self.up_blocks):
            x = layer(x)
        return self.conv_out(silu(self.norm_out(x)))


class Wan(nn.Module):
    """The bare network. It speaks raw latents; the autoencoder around it normalises them and checks its input."""

    def __init__(self, spec: WanSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)
        self.quant_conv = CausalConv(2 * spec.channels, 2 * spec.channels, 1)
        self.post_quant_conv = CausalConv(spec.channels, spec.channels, 1)

    def encode(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
        """Mean and log-variance of the raw posterior; pixels in [-1, 1], sides multiples of `spec.factor`."""
        return self.posterior(self.quant_conv(self.encoder(pixels)))

    def posterior(
        self, moments: Float[Tensor, "b moments h w"]
    ) -> tuple[Float[Tensor, "b z h w"], Float[Tensor, "b z h w"]]:
        """Mean and log-variance, from the last convolution's answer."""
        mean, logvar = moments.chunk(2, dim=1)
        return mean, torch.clamp(logvar, *LOGVAR_RANGE)

    def decode(self, z: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 h w"]:
        """Pixels, about [-1, 1] (not clamped, which the reference does), from a raw latent."""
        return self.decoder(self.post_quant_conv(z))
