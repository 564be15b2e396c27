"""Pictures mixed in the latent space of an autoencoder, and what a recipe says of it."""

from pathlib import Path
from typing import Any

from fictile.codec import AutoencoderCodec
from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.latent.mix import settings
from fictile.made import Init, Mixed, PictureFile, init_hash, open_init
from fictile.picture import Mask, Picture
from fictile.recipe import Mix, MixSource, Recipe


def mixed(
    codec: AutoencoderCodec,
    first: Init,
    second: Init,
    how: str,
    *,
    mask: PictureFile | Mask | None = None,
    space: str | None = None,
    **told: Any,
) -> Mixed:
    """Two of files, pictures and latents made one; `told` is what `latent.mix.by_name` takes, but for its mask.

    Raises SpaceMismatch for a latent of another space, RequestError for what cannot be opened or does not fit.
    """
    if isinstance(mask, str | Path):
        mask = Mask.open(mask)
    told = settings(how, mask=mask and mask.to_text(), **told)
    (a, one), (b, other) = (_opened(codec, source, space) for source in (first, second))
    mix = Mix(how=how, first=one, second=other, **told)
    return Mixed(latent=mix(a, b), mix=mix)


def mixed_again(codec: AutoencoderCodec, recipe: Recipe, first: Init, second: Init) -> Latent:
    """The mix that a recipe started from. Raises RequestError unless these are the two that became it."""
    mix = recipe.mix
    if mix is None:
        raise RequestError("The recipe did not start from a mix, and two pictures were given; give one, or none.")
    (a, one), (b, other) = (_opened(codec, source, recipe.space) for source in (first, second))
    for given, needed in ((one, mix.first), (other, mix.second)):
        if given.sha256 != needed.sha256:
            raise RequestError(
                f"The recipe started from {mix}, and another than {needed.name or 'that'} was given; give the two, in "
                "this order."
            )
    return mix(a, b)


def _opened(codec: AutoencoderCodec, source: Init, space: str | None) -> tuple[Latent, MixSource]:
    """The latent of what is mixed, and what a recipe says of it."""
    name = Path(source).name if isinstance(source, str | Path) else None
    opened = open_init(source, space)
    given = opened.latent if isinstance(opened, Mixed) else opened
    if isinstance(given, Latent):
        given.check(codec.space)
    latent = codec.encode(given) if isinstance(given, Picture) else given
    return latent, MixSource(name=name, sha256=init_hash(given))
