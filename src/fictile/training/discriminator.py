"""The patch discriminator of pix2pix (arXiv 1611.07004) and how latent diffusion balances it (arXiv 2012.09841)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

GROUPS = 8
MOST = 1e4  # of the balance, as in VQGAN


class PatchDiscriminator(nn.Sequential):
    """Scores overlapping patches of about 70 pixels as real (above 0) or made (below).

    Group norm takes the place of batch norm, which would make a picture's score depend on its neighbours in the batch.
    """

    def __init__(self, width: int = 64) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(width * inputs, width * outputs, 4, stride, 1, bias=False),
                nn.GroupNorm(GROUPS, width * outputs),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*layers, nn.Conv2d(width * 8, 1, 4, 1, 1))


def hinge_loss(real: Float[Tensor, "b 1 h w"], made: Float[Tensor, "b 1 h w"]) -> Float[Tensor, ""]:
    """The discriminator's loss: real patches should score above 1, made ones below -1."""
    return (relu(1 - real.float()).mean() + relu(1 + made.float()).mean()) / 2


def balance(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Float[Tensor, ""]:
    """The weight at which both losses pull equally hard on the decoder's last layer (arXiv 2012.09841, equation 7)."""
    (a,) = torch.autograd.grad(reconstruction, last, retain_graph=True)
    (b,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return (a.norm() / (b.norm() + 1e-4)).clamp(max=MOST).detach()
