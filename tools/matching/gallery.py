"""Draw what the wrong VAE looks like: python tools/matching/gallery.py -o docs/images/mismatch.png

A picture of the packaged model, its latent, and that latent decoded by the packaged autoencoder, by one with another
decoder, by the same autoencoder in other spaces of the same shape, and by whatever other files are named.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from variants import fine_tuned, mixed_kl, permutation, rotation, scaling

import fictile
from fictile.autoencoder import KL, NormalisedAutoencoder, as_kl
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.fidelity import mismatch
from fictile.latent import LatentSpace
from fictile.loading import load_codec
from fictile.picture import Picture, gallery

SEED = 7


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The sheet.")] = Path("mismatch.png"),
    others: Annotated[list[Path] | None, typer.Option("--vae", help="Other autoencoders beside them.")] = None,
) -> None:
    """Draw the gallery."""
    model = fictile.load()
    (fox,) = model.generate("a fox wearing a crown", seed=SEED)
    channels = model.space.channels
    made: dict[str, Callable[[KL], KL]] = {
        "its own": lambda one: one,
        "another decoder": lambda one: fine_tuned(one, 0.03, SEED),
        "rotated space": lambda one: mixed_kl(one, rotation(channels, SEED)),
        "permuted channels": lambda one: mixed_kl(one, permutation(channels, SEED)),
        "twice the scale": lambda one: mixed_kl(one, scaling(channels, 2.0)),
        "half the scale": lambda one: mixed_kl(one, scaling(channels, 0.5)),
    }
    codecs = [(name, _codec(as_kl(model.autoencoder), name, change)) for name, change in made.items()]
    codecs += [(path.stem, load_codec(path)) for path in others or []]
    cells = mismatch(Picture(fox.pixels), codecs)
    gallery([(cell.picture, cell.name, cell.line()) for cell in cells], side=256).save(output)


def _codec(own: NormalisedAutoencoder[KL], name: str, change: Callable[[KL], KL]) -> AutoencoderCodec:
    same = name in ("its own", "another decoder")
    space = own.space if same else LatentSpace(id="another space", channels=own.space.channels, factor=own.space.factor)
    with torch.no_grad():
        made = NormalisedAutoencoder(change(own.network), own.normalisation, name, space)
    return AutoencoderCodec(made, choose_runtime("cpu", "float32"))


if __name__ == "__main__":
    typer.run(main)
