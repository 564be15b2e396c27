"""What a latent space does with colours, and whether it is what is published of a space.

Two things are looked at. From the latents of pictures, the best linear map to the colours of these pictures: the figure
is the share that the published map explains of what the best one does. From the decoder, how its colours answer to each
channel: the cosine between that answer and the published map. Both are taken in the metric of the latents' full
covariance, which weighs a channel by what it does, together with the others, on pictures. Neither knows the size of a
latent, which is measured apart: by the contrast of the published map's colours, and by the spread of the channels.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from fictile.autoencoder import Network, Normalisation, Tiny
from fictile.matching.calibration import calibration_pictures
from fictile.matching.confidence import confidence, of_scale

REFUSE, ACCEPT = 0.64, 0.80  # of a figure; docs/matching.md says why
ACCEPT_FOUR = 0.90  # the same for four channels, which a rotation brings near by chance more often
REFUSE_SCALE, ACCEPT_SCALE = 1.75, 1.25  # how much too large or too small
SWAP = 0.02  # a swap of two channels that fits better by this much may be the truth
READABLE = 0.6  # correlation of colours with the best linear map; below it colours are in no linear map at all
PROBE = 4  # cells along a side of the field that the decoder is asked about


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a network was seen to do, in raw units. A half that is not there has not been seen."""

    colours: Float[Tensor, "b 3 h w"]  # of the pictures, at the latents' size
    latents: Float[Tensor, "b c h w"] | None = None
    response: Float[Tensor, "c 3"] | None = None  # the decoder's mean colour, per unit of each channel


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far an observation agrees with a published map; None for what could not be looked at."""

    channels: int
    colours: float | None
    response: float | None
    swap: float  # how much better the answers fit with two channels swapped, as a cosine
    scale: float | None  # 1 is right
    readable: float | None

    @property
    def mute(self) -> bool:
        """Whether no linear map reads colours from the latents, so that nothing here says anything."""
        return self.readable is not None and self.readable < READABLE

    @property
    def shape(self) -> float:
        """The confidence that channels mean what is published, whatever their size."""
        figures = [figure for figure in (self.colours, self.response) if figure is not None]
        if not figures or self.mute:
            return 0.5
        accept = ACCEPT_FOUR if self.channels <= 4 else ACCEPT
        sure = confidence(min(figures), refuse=REFUSE, accept=accept)
        return min(sure, 0.5) if self.swap > SWAP else sure

    @property
    def size(self) -> float:
        """The confidence that latents have the size that is published."""
        return (
            0.5 if self.scale is None or self.mute else of_scale(self.scale, refuse=REFUSE_SCALE, accept=ACCEPT_SCALE)
        )

    @property
    def confidence(self) -> float:
        """That it is the published space."""
        return min(self.shape, self.size)


@torch.no_grad()
def observe(network: Network) -> Observation:
    """Encode the calibration pictures, and ask the decoder for its colours."""
    pixels, factor = calibration_pictures(), network.spec.factor
    encodes, decodes = halves(network)
    where = next(network.parameters(), torch.empty(0))
    latents = network.encode(pixels.to(where))[0].float().cpu() if encodes else None
    colours = F.avg_pool2d(pixels, factor)
    return Observation(
        colours=colours, latents=latents, response=_response(network, latents, where) if decodes else None
    )


def agreement(seen: Observation, normalisation: Normalisation, published: Float[Tensor, "c 3"]) -> Agreement:
    """How far what was seen, taken in the units of `normalisation`, is what is published."""
    scale = torch.tensor(normalisation.scale).unflatten(0, (-1, normalisation.patch**2)).mean(1)
    response = None if seen.response is None else seen.response / scale[:, None]
    metric = torch.eye(len(published))
    explained = size = readable = None
    if seen.latents is not None:
        model = F.pixel_shuffle(normalisation.apply(seen.latents), normalisation.patch)
        x, y = _centred(model), _centred(seen.colours)
        metric = x.mT @ x / len(x)
        shown, best = x @ published, x @ torch.linalg.lstsq(x, y).solution
        readable = _cosine(best, y)
        explained = _cosine(shown, y) / max(readable, 1e-6)
        contrast, spread = (shown.norm() / y.norm()).item(), x.std(0).mean().item()
        size = math.sqrt(contrast * spread)
    return Agreement(
        channels=len(published),
        colours=explained,
        response=None if response is None else _cosine(_root(metric) @ response, _root(metric) @ published),
        swap=0.0 if response is None else _swap(response, published),
        scale=size,
        readable=readable,
    )


def _response(network: Network, latents: Tensor | None, where: Tensor) -> Float[Tensor, "c 3"]:
    """Central differences of the mean colour of an even field, one standard deviation to either side."""
    channels = network.spec.channels
    rows = torch.zeros(1, channels) if latents is None else latents.movedim(1, -1).reshape(-1, channels)
    mean, step = rows.mean(0), rows.std(0).clamp(min=1e-3) if len(rows) > 1 else torch.ones(channels)
    field = torch.cat([mean + torch.diag(step), mean - torch.diag(step)])
    cells = field[:, :, None, None].expand(-1, -1, PROBE, PROBE).contiguous()
    shown = torch.cat([network.decode(part.to(where)).float().cpu().mean((2, 3)) for part in cells.split(16)])
    return (shown[:channels] - shown[channels:]) / (2 * step[:, None])


def _swap(response: Float[Tensor, "c 3"], published: Float[Tensor, "c 3"]) -> float:
    """How much the cosine gains by the swap of two channels that it gains most by; 0 when by none."""
    products = response @ published.mT
    kept = products.diagonal()
    gain = products + products.mT - kept[:, None] - kept[None]
    return max((gain.max() / (response.norm() * published.norm()).clamp(min=1e-12)).item(), 0.0)


def _centred(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "n c"]:
    rows = x.movedim(1, -1).reshape(-1, x.shape[1])
    return rows - rows.mean(0)


def _cosine(a: Float[Tensor, "n c"], b: Float[Tensor, "n c"]) -> float:
    return ((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12)).item()


def _root(metric: Float[Tensor, "c c"]) -> Float[Tensor, "c c"]:
    """The square root of a covariance."""
    values, vectors = torch.linalg.eigh(metric)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.mT


def halves(network: Network) -> tuple[bool, bool]:
    """Whether it encodes and decodes: tiny autoencoders may come in halves."""
    return (network.spec.encodes, network.spec.decodes) if isinstance(network, Tiny) else (True, True)
