"""AdamW or Muon with a learning rate that warms up, holds, and cools down; with clipped and checked gradients."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fictile.training.options import MUON, Training


class NotFiniteError(ArithmeticError):
    """A loss or a gradient is NaN or infinite."""


class Optimiser:
    """One optimiser over the parameters of some networks, but for those that are frozen.

    With `muon` the weights of linear layers and convolutions are updated by Muon (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), scaled so that rate and decay mean what they mean to AdamW
    (arXiv 2502.16982, eq. 4); all other parameters, embeddings among them, by AdamW.
    """

    def __init__(self, networks: Sequence[nn.Module], options: Training) -> None:
        self.options = options
        self.parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
        self.weights = weights_of(networks) if options.optimiser == MUON else []
        turned = {id(weight) for weight in self.weights}
        self.adam = torch.optim.AdamW(
            [p for p in self.parameters if id(p) not in turned],
            betas=(0.9, 0.99),
            weight_decay=options.weight_decay,
            fused=True,
        )
        self.matrices = [nn.Parameter(as_matrix(weight.detach())) for weight in self.weights]
        decay = options.weight_decay
        self.muon = (
            torch.optim.Muon(self.matrices, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
            if self.matrices
            else None
        )

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
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.options.clip).item()
        if not torch.isfinite(loss) or not norm < float("inf"):
            raise NotFiniteError
        for matrix, weight in zip(self.matrices, self.weights, strict=True):
            matrix.grad = None if weight.grad is None else as_matrix(weight.grad, like=weight)
        for optimiser in filter(None, (self.adam, self.muon)):
            for group in optimiser.param_groups:
                group["lr"] = self.rate(step)
            optimiser.step()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return self.adam.state_dict() | ({MUON: self.muon.state_dict()} if self.muon else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.adam.load_state_dict({key: value for key, value in state.items() if key != MUON})
        if self.muon:
            self.muon.load_state_dict(state[MUON])
        for optimiser in filter(None, (self.adam, self.muon)):
            for group in optimiser.param_groups:
                group["weight_decay"] = self.options.weight_decay


def weights_of(networks: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The weights of all linear layers and convolutions that are not frozen."""
    layers = (layer for network in networks for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d))
    return [
        each for layer in layers for each in layer.parameters(recurse=False) if each.ndim > 1 and each.requires_grad
    ]


def as_matrix(weight: Float[Tensor, "out *rest"], like: Tensor | None = None) -> Float[Tensor, "out n"]:
    """A row for each output. A view, where the memory is laid out as that of `like`."""
    if weight.ndim == 4 and not (weight if like is None else like).is_contiguous():  # channels last
        return weight.permute(0, 2, 3, 1).flatten(1)
    return weight.flatten(1)
