"""The U-Net's step as compilers of graphs take it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile.denoiser.blocks import Shifts
from fictile.denoiser.transformer import Reading
from fictile.denoiser.unet import UNet, spread_rows


class UNetGraph(nn.Module):
    """The U-Net as a function of tensors in a row (x, all shifts, all keys and values) that looks at no size."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        x, *rest = tensors
        given = iter(rest)
        shifts: Shifts = {block: next(given) for block in self.network.residual_blocks}
        text: Reading = {attention: (next(given), next(given)) for attention in self.network.readers}
        return self.network.step(x, shifts, text)

    def example(self) -> list[tuple[Tensor, tuple[int, ...]]]:
        """What `forward` takes, small: each tensor, and the axes whose sizes may be others.

        Sizes that are free of one another differ, and none is 1: compilers take what is equal for the same.
        """
        network, batch, multiple = self.network, 2, self.network.spec.multiple
        x = torch.zeros(batch, network.spec.in_channels, 3 * multiple, 4 * multiple)
        shifts = [torch.zeros(batch, block.time_emb_proj.out_features) for block in network.residual_blocks]
        read = [
            torch.zeros(batch, attention.heads, 5, attention.to_k.out_features // attention.heads)
            for attention in network.readers
            for _ in ("keys", "values")
        ]
        return [(x, (0, 2, 3)), *((shift, (0,)) for shift in shifts), *((part, (0, 2)) for part in read)]


def through(run: Callable[..., Tensor]) -> Callable[[Tensor, Shifts, Reading], Float[Tensor, "b o h w"]]:
    """What runs a `UNetGraph`, in the place of the network itself."""

    def step(x: Float[Tensor, "b i h w"], shifts: Shifts, text: Reading) -> Float[Tensor, "b o h w"]:
        shifts, text = spread_rows(shifts, text, len(x))
        rows = [shift.expand(len(x), -1) for shift in shifts.values()]
        return run(x, *rows, *(part for pair in text.values() for part in pair))

    return step
