"""One latent, decoded by the autoencoder that made it and by others: what the wrong VAE looks like."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fictile.codec import AutoencoderCodec
from fictile.errors import RequestError
from fictile.fidelity.metrics import psnr
from fictile.latent import Latent
from fictile.picture import Picture


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One decoder's picture of a latent; None where the latent has another size than it reads, which `says` says."""

    name: str
    picture: Picture | None
    says: str
    psnr: float | None = None  # decibels, against the picture that was encoded; None also where it is infinite

    def line(self) -> str:
        """What stands below it."""
        return self.says if self.psnr is None else f"{self.says}, {self.psnr:.1f} dB"


def mismatch(picture: Picture, codecs: Sequence[tuple[str, AutoencoderCodec]]) -> list[Cell]:
    """Encode the picture with the first autoencoder, and decode the latent with each of them.

    The numbers are handed over as they are, in model units, which is what happens in a program that does not ask whose
    they are. Raises RequestError without two autoencoders.
    """
    if len(codecs) < 2:
        raise RequestError("One autoencoder has nothing to differ from; name two or more, the right one first.")
    latent = codecs[0][1].encode(picture)
    return [Cell(name="the picture", picture=picture, says="as it was given")] + [
        _decoded(latent, picture, name, codec, own=index == 0) for index, (name, codec) in enumerate(codecs)
    ]


def _decoded(latent: Latent, picture: Picture, name: str, codec: AutoencoderCodec, *, own: bool) -> Cell:
    mine, theirs = latent.space, codec.space
    if (mine.channels, mine.factor) != (theirs.channels, theirs.factor):
        return Cell(name=name, picture=None, says=f"reads {theirs}, and cannot read this latent of {mine}")
    taken = Latent(latent.data, theirs, latent.size)  # as if it were of this decoder's space: that is the mistake
    seen = codec.decode(taken)
    said = "its own" if own else "the same space" if theirs == mine else f"of {theirs.id}"
    distance = psnr(picture.pixels, seen.pixels)
    return Cell(name=name, picture=seen, says=said, psnr=distance if math.isfinite(distance) else None)
