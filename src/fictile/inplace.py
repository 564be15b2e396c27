"""Operations that write over what nobody reads again, wherever no gradient is asked for.

A large map's memory is new to the processor, and of malloc's pages to the system too: not to ask for it is most of what
such an operation can save.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def silu(x: Tensor) -> Tensor:
    """SiLU of a tensor that belongs to the caller (arXiv 1702.03118, equation 1)."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def add(x: Tensor, y: Tensor) -> Tensor:
    """The sum, in the place of x, which belongs to the caller and has the sum's shape."""
    return x + y if torch.is_grad_enabled() else x.add_(y)


def multiply(x: Tensor, y: Tensor) -> Tensor:
    """The product, in the place of x, which belongs to the caller and has the product's shape."""
    return x * y if torch.is_grad_enabled() else x.mul_(y)
