"""What a denoiser predicts, and how every kind converts to the clean latent x0 and back.

With x = alpha x0 + sigma noise:

    eps   the noise                             arXiv 2006.11239
    v     alpha noise - sigma x0                arXiv 2202.00512, appendix D
    x0    the clean latent
    flow  noise - x0, the velocity of a flow    arXiv 2209.03003
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError

Prediction = Literal["eps", "v", "x0", "flow"]
PREDICTIONS: tuple[Prediction, ...] = get_args(Prediction)

Batch = Float[Tensor, "b ..."]
PerSample = float | Float[Tensor, " b"]


def to_x0(prediction: Prediction, output: Batch, x: Batch, alpha: PerSample, sigma: PerSample) -> Batch:
    """The clean latent that `output` stands for.

    `alpha` and `sigma` are numbers, or one per sample, of any schedule (variance-preserving or flow). All four kinds
    are finite everywhere. Where alpha = 0, eps says nothing about x0, which is then 0: the mean of latents in model
    units.
    """
    a, s = _along(alpha, x), _along(sigma, x)
    match prediction:
        case "eps":
            return torch.where(a > 0, (x - s * output) / torch.where(a > 0, a, 1), 0)
        case "v":
            return (a * x - s * output) / (a.square() + s.square())
        case "x0":
            return output
        case "flow":
            return (x - s * output) / (a + s)


def target(prediction: Prediction, x0: Batch, noise: Batch, alpha: PerSample, sigma: PerSample) -> Batch:
    """What a perfect denoiser puts out for x = alpha x0 + sigma noise: the inverse of `to_x0`, used in training."""
    match prediction:
        case "eps":
            return noise
        case "v":
            return _along(alpha, x0) * noise - _along(sigma, x0) * x0
        case "x0":
            return x0
        case "flow":
            return noise - x0


def prediction_of(name: str) -> Prediction:
    """The prediction kind called `name`, as read from a file.

    Raises:
        RequestError: for a name that is none of `PREDICTIONS`.
    """
    for kind in PREDICTIONS:
        if kind == name:
            return kind
    raise RequestError(f"Prediction {name!r} is unknown: the kinds are {', '.join(PREDICTIONS)}.")


def _along(value: PerSample, x: Batch) -> Tensor:
    """A number, or one number per sample, shaped to multiply x."""
    tensor = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    return tensor.reshape(-1, *[1] * (x.dim() - 1)) if tensor.dim() else tensor
