"""What one trip through a latent space and back does to a picture, in numbers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from fictile.fidelity.metrics import ColourShift, colour_shift, psnr, ssim
from fictile.latent import Latent
from fictile.model import load
from fictile.picture import Picture, load_picture


@runtime_checkable
class Codec(Protocol):
    """Takes pictures to latents and back: a model, or anything else that knows both ways."""

    def encode(self, picture: Picture) -> Latent: ...

    def decode(self, latent: Latent) -> Picture: ...


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """A picture after its trip, and how far it is from the one that set out."""

    latent: Latent
    reconstruction: Picture
    psnr: float  # decibels
    ssim: float
    colour: ColourShift

    def figures(self) -> dict[str, object]:
        """The numbers as plain JSON values; an infinite PSNR, which JSON cannot write, is None."""
        return {
            "space": self.latent.space.id,
            "width": self.reconstruction.width,
            "height": self.reconstruction.height,
            "psnr": self.psnr if math.isfinite(self.psnr) else None,
            "ssim": self.ssim,
            "delta_e": self.colour.delta_e,
            "rgb_shift": list(self.colour.rgb),
        }


def roundtrip(picture: str | Path | Picture, codec: Codec | None = None) -> RoundTrip:
    """Encode the picture, by the packaged model if no codec is given, decode it again and measure what was lost.

    Raises:
        RequestError: The picture cannot be read, or is too small to measure (see `ssim`).
    """
    if not isinstance(picture, Picture):
        picture = load_picture(picture)
    codec = codec or load()
    latent = codec.encode(picture)
    reconstruction = codec.decode(latent)
    return RoundTrip(
        latent=latent,
        reconstruction=reconstruction,
        psnr=psnr(picture.pixels, reconstruction.pixels),
        ssim=ssim(picture.pixels, reconstruction.pixels),
        colour=colour_shift(picture.pixels, reconstruction.pixels),
    )
