"""Encoded pictures, kept on disk under keys that no stale one can match."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from fictile.autoencoder import AnyAutoencoder, Posterior
from fictile.errors import FictileError, RequestError
from fictile.files import written_whole
from fictile.training.folder import Pictures

VERSION = 1  # of the files' content; part of every key
BATCH = 8  # pictures that are encoded together


class LatentCache:
    """Posteriors of pictures, each in a file named by a hash of the picture's bytes, the VAE and the transform.

    Raises RequestError when a picture cannot be read.

    Moments are kept rather than samples, so that every training step draws its own. They are float16: their error is
    far below the posterior's own spread.
    """

    def __init__(
        self, folder: Path, autoencoder: AnyAutoencoder, pictures: Pictures, *, mirrored: bool = False
    ) -> None:
        self.folder, self.autoencoder, self.pictures, self.mirrored = folder, autoencoder, pictures, mirrored
        transform = repr((VERSION, _hash(autoencoder), pictures.size, mirrored)).encode()
        keys = [hashlib.sha256(_bytes(entry.path) + transform).hexdigest() for entry in pictures.entries]
        self.paths = [folder / f"{key}.safetensors" for key in keys]

    def fill(self) -> None:
        """Encode whatever is missing, where the VAE's network is.

        Raises:
            FictileError: a picture's latent is not finite; names the picture.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [index for index, path in enumerate(self.paths) if not path.exists()]
        batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
        for batch in track(batches, "encoding pictures", console=Console(stderr=True), disable=not batches):
            pixels = self.pictures.batch(batch)
            posterior = self.autoencoder.encode(pixels.flip(-1) if self.mirrored else pixels)
            moments = torch.stack([posterior.mean, posterior.logvar], dim=1).half().cpu()
            for index, pair in zip(batch, moments, strict=True):
                self._keep(index, pair)

    def _keep(self, index: int, moments: Float[Tensor, "2 c h w"]) -> None:
        mean, logvar = moments
        if not mean.isfinite().all() or (logvar.isnan() | logvar.isposinf()).any():  # minus infinity: no doubt at all
            raise FictileError(
                f"The VAE makes latents of {self.pictures.entries[index].path} that are not finite numbers; "
                "look at the picture, or train with another VAE."
            )
        with written_whole(self.paths[index]) as draft:
            save_file({"moments": moments.clone(memory_format=torch.contiguous_format)}, draft)

    def posterior(self, indices: Sequence[int]) -> Posterior:
        """The posteriors of some pictures as one batch, float32."""
        moments = torch.stack([load_file(self.paths[index])["moments"] for index in indices]).float()
        return Posterior(mean=moments[:, 0], logvar=moments[:, 1], space=self.autoencoder.space)


def _hash(autoencoder: AnyAutoencoder) -> str:
    """What tells this VAE from every other: the hash of its file, or of all its numbers if it never was one."""
    if autoencoder.content_hash:
        return autoencoder.content_hash
    digest = hashlib.sha256(repr(autoencoder.normalisation).encode())
    for name, weight in sorted(autoencoder.network.state_dict().items()):
        digest.update(name.encode() + weight.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}); make it readable or remove its line.") from error
