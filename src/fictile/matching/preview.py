"""A quick look at latents that are not decoded yet: by the colours of their channels, or through a tiny decoder."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from fictile.codec import AutoencoderCodec
from fictile.errors import RequestError
from fictile.latent import Latent, LatentSpace, LinearPreview
from fictile.matching.choose import open_decoder
from fictile.matching.judge import judged_pictures
from fictile.matching.latents import encoded
from fictile.matching.references import offset, reference
from fictile.matching.subjects import DenoiserSubject
from fictile.picture import Picture, crop

LONGEST = 2048  # pixels along a side of a preview; what would be larger is shrunk


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What looks at latents of one space."""

    space: LatentSpace
    shown: Callable[[Latent], Float[Tensor, "b 3 h w"]]  # colours in [-1, 1] of whole latents, at a size of its own
    how: str  # for people
    r2: float | None = None  # of a fit, on pictures that it did not see

    @torch.no_grad()
    def __call__(self, latents: Latent | Float[Tensor, "b c h w"]) -> Picture:
        """The picture of one latent, or of several on one sheet, row by row; as large as they will be, up to `LONGEST`.

        Raises SpaceMismatch for a latent of another space, RequestError for values that are not finite.
        """
        latent = latents if isinstance(latents, Latent) else Latent(latents, self.space)
        latent.check(self.space)
        if not latent.data.isfinite().all():
            raise RequestError("The latent to look at has values that are not finite numbers; make it again.")
        columns = math.ceil(math.sqrt(len(latent)))
        height, width = (side * self.space.factor for side in latent.data.shape[2:])
        shrink = min(1.0, LONGEST / (columns * max(height, width)))
        pixels = self.shown(replace(latent.to("cpu", torch.float32), size=None))
        size = max(round(height * shrink), 1), max(round(width * shrink), 1)
        pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
        whole = [max(round(side * shrink), 1) for side in latent.picture_size]
        return Picture(_sheet(crop(pixels, (whole[0], whole[1])), columns))


@torch.no_grad()
def open_preview(
    codec: AutoencoderCodec, vae: str | PathLike[str] | None = None, *, name: str = "the model"
) -> Preview:
    """What shows the latents that `codec` decodes; `name` is that of its model, for people.

    Through the decoder of `vae`, a tiny one above all; without one by the colours that are published of the space, or
    else by those that fit best to what the codec's own encoder makes of the packaged pictures.

    Raises SpaceMismatch for a decoder that surely speaks another space, RequestError for what holds none, and where
    there is nothing to fit to.
    """
    if vae is not None:
        subject = DenoiserSubject(name=name, space=codec.space, autoencoder=codec.autoencoder)
        decoder = AutoencoderCodec(open_decoder(subject, Path(vae)), codec.runtime, own=True)
        return Preview(space=codec.space, shown=_decoding(decoder), how=f"through {vae}")
    rows, zero = reference(codec.space.id), offset(codec.space.id)
    if rows is not None:
        linear = LinearPreview.published(rows, zero, codec.space.channels)
        how = f"by the colours that are published of {codec.space.id}"
    else:
        linear = _fitted(codec)
        how = f"by colours that were fitted to its channels (R2 {linear.r2:.2f})"
    return Preview(space=codec.space, shown=lambda latent: linear(latent.data), how=how, r2=linear.r2)


def _decoding(decoder: AutoencoderCodec) -> Callable[[Latent], Float[Tensor, "b 3 h w"]]:
    """Through a decoder, one by one."""
    return lambda latent: torch.stack([decoder.decoded(one, decoder.dtype)[0] for one in latent])


def _fitted(codec: AutoencoderCodec) -> LinearPreview:
    """Fitted to the codec's own latents. Its ladder is left alone: what overflows here must not widen a decode."""
    own, pixels = codec.autoencoder, judged_pictures(codec.space.id)
    latents = encoded(own.network, own.normalisation, pixels)
    if not latents.isfinite().all():
        exact = own.placed(codec.runtime.device, torch.float32)
        latents = encoded(exact.network, own.normalisation, pixels)
    return LinearPreview.fitted(latents, pixels)


def _sheet(pixels: Float[Tensor, "b 3 h w"], columns: int) -> Float[Tensor, "3 H W"]:
    """All pictures on one, row by row, white where none is left."""
    rows = math.ceil(len(pixels) / columns)
    white = pixels.new_ones(rows * columns - len(pixels), *pixels.shape[1:])
    tiles = torch.cat([pixels, white]).unflatten(0, (rows, columns))
    return tiles.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)
