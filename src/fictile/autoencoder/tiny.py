"""The tiny autoencoders of Ollin Boer Bohan (github.com/madebyollin/taesd): convolutions and ReLU, and little else.

They are distilled from a large autoencoder, to whose denoiser they speak directly: their latents are in model units.
Parameters are named as in diffusers' `AutoencoderTiny`, whose `layers` count as taesd's own files do, but for the
decoder: there the clamp is layer 0, here it has no number. The group norm branch of the FLUX.2 one and the strided stem
of Sana's are not in diffusers; they follow taesd.py.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile.autoencoder.spec import TinySpec
from fictile.errors import RequestError

POOL_GROUPS, POOL_FACTOR = 4, 4  # taesd.py: of the group norm branch, and how much wider it is


def conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """The only convolution there is: 3x3, with a border of zeros."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)


class Block(nn.Module):
    """Three convolutions beside a shortcut; with `pool`, after a branch that sees the whole picture."""

    def __init__(self, width: int, *, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, width))
        self.pool = (
            nn.Sequential(
                nn.Conv2d(width, POOL_FACTOR * width, 1, bias=False),
                nn.GroupNorm(POOL_GROUPS, POOL_FACTOR * width),
                nn.ReLU(),
                nn.Conv2d(POOL_FACTOR * width, width, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if self.pool is not None:
            x = x + self.pool(x)
        return (self.conv(x) + x).relu()


class Encoder(nn.Module):
    """Pixels in [0, 1] to a latent."""

    def __init__(self, spec: TinySpec) -> None:
        super().__init__()
        width, deepest = spec.width, len(spec.encoder_layers) - 1
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((3, *spec.stem_widths, width)):
            stem = [conv(inputs, outputs, stride=2), nn.ReLU()] if spec.stem_widths else [conv(inputs, outputs)]
            layers += stem
        for level, count in enumerate(spec.encoder_layers):
            if level:
                layers.append(conv(width, width, stride=2, bias=False))
            layers += [Block(width, pool=spec.pool and level == deepest) for _ in range(count)]
        self.layers = nn.Sequential(*layers, conv(width, spec.channels))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b z hz wz"]:
        return self.layers(x)


class Decoder(nn.Module):
    """A latent, gently clamped to [-3, 3], to pixels of about [0, 1]."""

    def __init__(self, spec: TinySpec) -> None:
        super().__init__()
        levels = list(zip(spec.decoder_widths, spec.decoder_layers, strict=True))[::-1]
        layers: list[nn.Module] = [conv(spec.channels, levels[0][0]), nn.ReLU()]
        for level, (width, count) in enumerate(levels):
            if level:
                layers += [nn.Upsample(scale_factor=2), conv(levels[level - 1][0], width, bias=False)]
            layers += [Block(width, pool=spec.pool and level == 0) for _ in range(count)]
        self.layers = nn.Sequential(*layers, conv(levels[-1][0], 3))

    def forward(self, z: Float[Tensor, "b z h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        return self.layers(squashed(z))


class Tiny(nn.Module):
    """The bare network, or one half of it."""

    def __init__(self, spec: TinySpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec) if spec.encodes else None
        self.decoder = Decoder(spec) if spec.decodes else None

    def encode(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
        """The latent and its log-variance, which is minus infinity: there is no doubt about it. Pixels in [-1, 1].

        Raises RequestError when there is no encoder.
        """
        return self.posterior(self.encoding_half()(from_pixels(pixels)))

    def decode(self, z: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 h w"]:
        """Pixels, about [-1, 1] (not clamped). Raises RequestError when there is no decoder."""
        return to_pixels(self.decoding_half()(z))

    def posterior(self, z: Float[Tensor, "b z h w"]) -> tuple[Float[Tensor, "b z h w"], Float[Tensor, "b z h w"]]:
        """The latent, and that there is no doubt about it."""
        return z, torch.full_like(z, -math.inf)

    def encoding_half(self) -> Encoder:
        """The encoder. Raises RequestError when there is none."""
        if self.encoder is None:
            raise RequestError(
                "Only the decoder of this tiny autoencoder was loaded; load its encoder's file too to encode pictures."
            )
        return self.encoder

    def decoding_half(self) -> Decoder:
        """The decoder. Raises RequestError when there is none."""
        if self.decoder is None:
            raise RequestError(
                "Only the encoder of this tiny autoencoder was loaded; load its decoder's file too to decode latents."
            )
        return self.decoder


def squashed(z: Float[Tensor, "b z h w"]) -> Float[Tensor, "b z h w"]:
    """Gently clamped to [-3, 3]."""
    return torch.tanh(z / 3) * 3


def from_pixels(pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """[-1, 1] to the network's [0, 1]."""
    return pixels / 2 + 0.5


def to_pixels(x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The network's [0, 1] to [-1, 1]."""
    return x * 2 - 1
