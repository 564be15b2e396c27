"""Group norm, computed in the precision that the processor takes it fastest in."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import group_norm

FEW_CELLS = 1024  # below, torch's kernel for channels last goes through the cells for each group by itself
WIDE = 16  # channels of a group from which on that kernel takes many at a time in bf16


class GroupNorm(nn.GroupNorm):
    """Group norm (arXiv 1803.08494, equation 4), of small maps with narrow groups in float32 whatever they come in.

    A CPU takes such a map in bf16 two to three times as long as in float32, to and fro, and its gradient up to five
    times (`benchmarks.learning`). What it gives is of the type and the layout of what it is given.
    """

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:  # noqa: A002 - its name in torch
        if not (input.is_cpu and input.dtype == torch.bfloat16) or self._is_quick(input.shape):
            return super().forward(input)
        weight, bias = self.weight.float(), self.bias.float()
        return group_norm(input.float(), self.num_groups, weight, bias, self.eps).to(input.dtype)

    def _is_quick(self, shape: torch.Size) -> bool:
        if torch.compiler.is_compiling():
            return True  # a compiler writes its own kernel, and one program for all sizes
        return self.num_channels // self.num_groups >= WIDE or shape[2:].numel() >= FEW_CELLS
