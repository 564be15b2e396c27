"""The two ways through an autoencoder's network as compilers of graphs take them: one tensor in, one tensor out."""

from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile.autoencoder.kl import KL
from fictile.autoencoder.spec import KLSpec

Ready = Callable[[nn.Module, Tensor, int], Callable[[Tensor], Tensor]]
"""Makes a network ready, given an example of maps ("b c h w"), whose batch, height and width may be others, and what
heights and widths are multiples of."""


class Graphs:
    """A KL network run by a compiler of graphs, each way made ready when it is first needed.

    `network` makes it, in float32 on the CPU, as often as it is asked: nobody holds it afterwards.
    """

    def __init__(self, spec: KLSpec, network: Callable[[], KL], ready: Ready) -> None:
        self._spec, self._network, self._ready = spec, network, ready

    def encode(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
        """As `KL.encode`."""
        mean, logvar = self._encoder(pixels).chunk(2, dim=1)
        return mean, logvar

    def decode(self, z: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 h w"]:
        """As `KL.decode`."""
        return self._decoder(z)

    @cached_property
    def _encoder(self) -> Callable[[Tensor], Tensor]:
        factor = self._spec.factor
        return self._ready(_Encode(self._network()), torch.zeros(2, 3, 3 * factor, 4 * factor), factor)

    @cached_property
    def _decoder(self) -> Callable[[Tensor], Tensor]:
        return self._ready(_Decode(self._network()), torch.zeros(2, self._spec.channels, 3, 4), 1)


class _Encode(nn.Module):
    def __init__(self, network: KL) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.cat(self.network.encode(pixels), dim=1)


class _Decode(nn.Module):
    def __init__(self, network: KL) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> Tensor:
        return self.network.decode(z)
