"""Encoded pictures, kept on disk under keys that no stale one can match."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
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

    def __init__(self, folder: Path, autoencoder: AnyAutoencoder, pictures: Pictures, *, flip: bool = False) -> None:
        self.folder, self.autoencoder, self.pictures = folder, autoencoder, pictures
        # Every picture as it is; then, with `flip`, every picture mirrored, but one that must not be, as it is again.
        self.mirrorings = [False] * len(pictures) + [entry.flip for entry in pictures.entries] * flip
        transforms = {
            mirrored: repr((VERSION, _hash(autoencoder), pictures.size, mirrored)).encode()
            for mirrored in (False, True)
        }
        contents = (_bytes(entry.path) for _ in range(1 + flip) for entry in pictures.entries)
        keys = (hashlib.sha256(content + transforms[m]) for content, m in zip(contents, self.mirrorings, strict=True))
        self.paths = [folder / f"{key.hexdigest()}.safetensors" for key in keys]

    def fill(self) -> None:
        """Encode whatever is missing, where the VAE's network is.

        Raises:
            FictileError: a picture's latent is not finite; names the picture.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = list({path: row for row, path in enumerate(self.paths) if not path.exists()}.values())
        batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
        for batch in track(batches, "encoding pictures", console=Console(stderr=True), disable=not batches):
            pixels = self.pictures.batch([row % len(self.pictures) for row in batch])
            mirrored = torch.tensor([self.mirrorings[row] for row in batch])
            pixels[mirrored] = pixels[mirrored].flip(-1)
            posterior = self.autoencoder.encode(pixels)
            moments = torch.stack([posterior.mean, posterior.logvar], dim=1).half().cpu()
            for row, pair in zip(batch, moments, strict=True):
                self._keep(row, pair)

    def _keep(self, row: int, moments: Float[Tensor, "2 c h w"]) -> None:
        mean, logvar = moments
        if not mean.isfinite().all() or (logvar.isnan() | logvar.isposinf()).any():  # minus infinity: no doubt at all
            raise FictileError(
                f"The VAE makes latents of {self.pictures.entries[row % len(self.pictures)].path} that are not finite "
                "numbers; look at the picture, or train with another VAE."
            )
        with written_whole(self.paths[row]) as draft:
            save_file({"moments": moments.clone(memory_format=torch.contiguous_format)}, draft)

    def posterior(self, indices: Sequence[int], mirrored: Bool[Tensor, " n"] | None = None) -> Posterior:
        """The posteriors of some pictures as one batch, float32; of those `mirrored`, where the cache has `flip`."""
        shifts = [0] * len(indices) if mirrored is None else (len(self.pictures) * mirrored).tolist()
        rows = [index + shift for index, shift in zip(indices, shifts, strict=True)]
        moments = torch.stack([load_file(self.paths[row])["moments"] for row in rows]).float()
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
