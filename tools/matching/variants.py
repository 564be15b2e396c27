"""Autoencoders of known truth: a real one in other spaces or with another decoder, and linear ones of one map."""

import copy
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder import KL, KLSpec, Tiny

Matrix = Float[Tensor, "c c"]
N = TypeVar("N", KL, Tiny)


def rotation(channels: int, seed: int) -> Matrix:
    """A random orthogonal matrix, evenly distributed (Mezzadri, arXiv math-ph/0609050)."""
    q, r = torch.linalg.qr(torch.randn(channels, channels, generator=torch.Generator().manual_seed(seed)))
    return q * r.diagonal().sign()


def permutation(channels: int, seed: int) -> Matrix:
    """A random permutation of the channels."""
    return torch.eye(channels)[torch.randperm(channels, generator=torch.Generator().manual_seed(seed))]


def scaling(channels: int, factor: float) -> Matrix:
    """All channels larger by a factor."""
    return torch.eye(channels) * factor


class MixedTiny(Tiny):
    """A tiny autoencoder with a matrix after its encoder, and the inverse before its decoder and the clamp in it."""

    def __init__(self, inner: Tiny, matrix: Matrix) -> None:
        nn.Module.__init__(self)
        self.spec, self.encoder, self.decoder, self.matrix = inner.spec, inner.encoder, inner.decoder, matrix

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As `Tiny.encode`, mixed."""
        mean, logvar = super().encode(pixels)
        return _mix(self.matrix, mean), logvar

    def decode(self, z: Tensor) -> Tensor:
        """As `Tiny.decode`, of what is mixed."""
        return super().decode(_mix(torch.linalg.inv(self.matrix), z))


def mixed_kl(network: KL, matrix: Matrix) -> KL:
    """The same autoencoder in another space: the matrix is in the weights and the bias of the convolutions around its
    latent. Its log-variance stays, so it is to be encoded by its mean.
    """
    made, channels = copy.deepcopy(network), network.spec.channels
    assert isinstance(made.quant_conv, nn.Conv2d)
    assert isinstance(made.post_quant_conv, nn.Conv2d)
    with torch.no_grad():
        weight, bias = made.quant_conv.weight, made.quant_conv.bias
        assert bias is not None
        weight[:channels] = torch.einsum("ij,jkhw->ikhw", matrix, weight[:channels])
        bias[:channels] = matrix @ bias[:channels]
        back = made.post_quant_conv.weight
        back.copy_(torch.einsum("ijhw,jk->ikhw", back, torch.linalg.inv(matrix)))
    return made


def fine_tuned(network: N, strength: float, seed: int) -> N:
    """The same encoder with a decoder whose weights all moved by a share of their spread, as after some training."""
    made = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.startswith("decoder.") and weight.numel() > 1:
                weight.add_(strength * weight.std() * torch.randn(weight.shape, generator=generator))
    return made


class Linear(KL):
    """A made-up autoencoder: colours as a map says, in the metric of even latents, and details in what the map leaves.

    It is as good as a published map of its space is, and no real autoencoder.
    """

    def __init__(self, colours: Float[Tensor, "c 3"], spec: KLSpec, scale: float = 1.0, shift: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.spec, self.colours, self.units = spec, colours, (scale, shift)
        generator = torch.Generator().manual_seed(0)
        self.details = torch.randn(len(colours), 48, generator=generator) / 48**0.5

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Raw latents: colours through the inverse of the map, and folded details where the map sees nothing."""
        factor = self.spec.factor
        even = F.avg_pool2d(pixels, factor)
        back = torch.linalg.pinv(self.colours)  # "3 c"
        detail = F.avg_pool2d(pixels - F.interpolate(even, scale_factor=float(factor)), 2)
        folded = F.pixel_unshuffle(detail, factor // 2)
        hidden = torch.einsum("ck,bkhw->bchw", self.details, folded * 8)
        unseen = torch.eye(len(self.colours)) - self.colours @ back
        latents = _mix(back.mT, even) + _mix(unseen, hidden)
        scale, shift = self.units
        return latents / scale + shift, torch.full_like(latents, -30.0)

    def decode(self, z: Tensor) -> Tensor:
        """The colours alone, each cell in one."""
        scale, shift = self.units
        even = torch.einsum("ck,bchw->bkhw", self.colours, (z - shift) * scale)
        return F.interpolate(even, scale_factor=float(self.spec.factor))


def _mix(matrix: Matrix, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    return torch.einsum("ij,bjhw->bihw", matrix, x)
