"""Encoded pictures, kept on disk under keys that no stale one can match."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file

from fictile.autoencoder import KLAutoencoder, Posterior
from fictile.errors import FictileError
from fictile.files import written_whole
from fictile.training.folder import Pictures

VERSION = 1  # of the files' content; part of every key


class LatentCache:
    """Posteriors of pictures, each in a file named by a hash of the picture's bytes, the VAE and the transform.

    Moments are kept rather than samples, so that every training step draws its own. They are float16: their error is
    far below the posterior's own spread.
    """

    def __init__(self, folder: Path, autoencoder: KLAutoencoder, pictures: Pictures, *, mirrored: bool = False) -> None:
        self.folder, self.autoencoder, self.pictures, self.mirrored = folder, autoencoder, pictures, mirrored
        transform = (VERSION, autoencoder.space.id, pictures.size, mirrored)
        self.paths = [
            folder / f"{hashlib.sha256(entry.path.read_bytes() + repr(transform).encode()).hexdigest()}.safetensors"
            for entry in pictures.entries
        ]

    def fill(self) -> None:
        """Encode whatever is missing.

        Raises:
            FictileError: a picture's latent is not finite; names the picture.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [index for index, path in enumerate(self.paths) if not path.exists()]
        for index in track(missing, "encoding pictures", console=Console(stderr=True), disable=not missing):
            pixels = self.pictures.pixels(index)[None]
            posterior = self.autoencoder.encode(pixels.flip(-1) if self.mirrored else pixels)
            moments = torch.cat([posterior.mean, posterior.logvar]).half()
            if not moments.isfinite().all():
                raise FictileError(
                    f"The VAE makes latents of {self.pictures.entries[index].path} that are not finite numbers; "
                    "look at the picture, or train with another VAE."
                )
            with written_whole(self.paths[index]) as draft:
                save_file({"moments": moments}, draft)

    def posterior(self, indices: Sequence[int]) -> Posterior:
        """The posteriors of some pictures as one batch, float32."""
        moments = torch.stack([load_file(self.paths[index])["moments"] for index in indices]).float()
        return Posterior(mean=moments[:, 0], logvar=moments[:, 1], space=self.autoencoder.space)
