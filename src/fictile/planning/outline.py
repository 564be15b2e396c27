"""A model without its weights: what planning looks at."""

from dataclasses import replace
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path
from typing import cast

from fictile.autoencoder import AnyAutoencoder, Normalisation, NormalisedAutoencoder
from fictile.autoencoder import Network as AutoencoderNetwork
from fictile.checkpoint import Parts, open_autoencoder, open_model
from fictile.checkpoint.folder import MODEL, PACKAGED
from fictile.checkpoint.pipeline import is_pipeline
from fictile.errors import SpaceMismatch
from fictile.latent import LatentSpace
from fictile.matching.choose import sorted_out


def opened_outline(model: str | PathLike[str] | None = None, vae: str | PathLike[str] | None = None) -> Parts:
    """As `outline`; without a model, of the packaged one."""
    with as_file(files("fictile") / "builtin" / PACKAGED) as packaged:
        return outline(model or packaged, vae)


def outline(model: str | PathLike[str], vae: str | PathLike[str] | None = None) -> Parts:
    """The parts of a model on torch's meta device, from headers and configurations alone: nothing is loaded.

    An autoencoder `vae` takes the place of its own; whether it belongs is not judged here. Of a folder of loose
    files it is the first that can be meant, as which one belongs is only known from its weights, and those that can be
    are alike in size.

    Raises RequestError as `checkpoint.open_model` does.
    """
    path = Path(model)
    if path.is_dir() and not (path / MODEL).exists() and not is_pipeline(path):
        model, beside = sorted_out(path)
        vae = vae or next(iter(beside), None)
    if vae is None:
        return open_model(model, weights=False)
    try:
        return open_model(model, _without_weights(vae), weights=False)
    except SpaceMismatch:  # a foreign one, which loading refuses unless it is forced
        parts = open_model(model, weights=False)
        foreign, space = _without_weights(vae), parts.denoiser.space
        if (foreign.space.channels, foreign.space.factor) != (space.channels, space.factor):
            return parts  # no force helps
        return replace(parts, autoencoder=_without_weights(vae, space))


def _without_weights(vae: str | PathLike[str], space: LatentSpace | None = None) -> AnyAutoencoder:
    opened = open_autoencoder(vae)
    network = cast(AutoencoderNetwork, opened.parts["vae"].empty())
    spec, units = network.spec, opened.normalisation
    units = units or Normalisation.identity(spec.channels)
    own = LatentSpace(id=str(vae), channels=units.channels, factor=spec.factor * units.patch)
    return NormalisedAutoencoder(network, units, str(vae), space or opened.space or own)
