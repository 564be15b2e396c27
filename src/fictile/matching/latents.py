"""Whether two autoencoders make the same latents of the same pictures, where a model brings one of its own."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder import Network, Normalisation
from fictile.matching.calibration import calibration_pictures
from fictile.matching.confidence import confidence, of_scale

REFUSE, ACCEPT = 0.60, 0.98  # of the correlation of the channel that agrees least; docs/matching.md says why
REFUSE_SCALE, ACCEPT_SCALE = 1.4, 1.1


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """`worst` is the correlation of the channel that agrees least, `scale` how much larger the other's latents are."""

    worst: float
    scale: float

    @property
    def confidence(self) -> float:
        """That both speak one space."""
        return min(
            confidence(self.worst, refuse=REFUSE, accept=ACCEPT),
            of_scale(self.scale, refuse=REFUSE_SCALE, accept=ACCEPT_SCALE),
        )


@torch.no_grad()
def encoded(
    network: Network, normalisation: Normalisation, pixels: Float[Tensor, "b 3 H W"] | None = None
) -> Float[Tensor, "b c h w"]:
    """Pictures as latents in model units, on the CPU; the calibration pictures if none are given."""
    where = next(network.parameters(), torch.empty(0))
    pixels = calibration_pictures() if pixels is None else pixels
    return normalisation.apply(network.encode(pixels.to(where))[0].float().cpu())


def likeness(own: Float[Tensor, "b c h w"], other: Float[Tensor, "b c h w"]) -> Likeness:
    """Of the latents that two autoencoders make of the same pictures."""
    a, b = ((x - x.mean((0, 2, 3), keepdim=True)).movedim(1, 0).flatten(1) for x in (own, other))
    correlations = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)
    return Likeness(worst=correlations.min().item(), scale=(b.norm() / a.norm().clamp(min=1e-12)).item())
