"""AdamW with a learning rate that warms up, holds, and cools down; with clipped and checked gradients."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from fictile.training.options import Training


class NotFiniteError(ArithmeticError):
    """A loss or a gradient is NaN or infinite."""


class Optimiser:
    """One optimiser over the parameters of some networks, but for those that are frozen."""

    def __init__(self, networks: Iterable[nn.Module], options: Training) -> None:
        self.options = options
        self.parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
        self.adam = torch.optim.AdamW(self.parameters, betas=(0.9, 0.99), weight_decay=options.weight_decay, fused=True)

    def rate(self, step: int) -> float:
        """The learning rate at a step: up linearly, level, down linearly (arXiv 2405.18392)."""
        up = min(1.0, (step + 1) / max(1, self.options.warmup))
        down = (self.options.steps - step) / max(1.0, self.options.cooldown * self.options.steps)
        return self.options.learning_rate * min(up, down, 1.0)

    def update(self, loss: torch.Tensor, step: int) -> float:
        """One step down the gradient of `loss`. Returns the gradient's norm before clipping.

        Raises:
            NotFiniteError: before any parameter has changed.
        """
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.options.clip).item()
        if not torch.isfinite(loss) or not norm < float("inf"):
            raise NotFiniteError
        for group in self.adam.param_groups:
            group["lr"] = self.rate(step)
        self.adam.step()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.adam.load_state_dict(state)
        for group in self.adam.param_groups:
            group["weight_decay"] = self.options.weight_decay
