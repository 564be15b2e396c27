"""Which latent space a latent lives in."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """The identity of a latent space: latents of one space fit every decoder and denoiser of that space, and no other.

    A trained VAE has a name and a hash of its encoder and normalisation as id, so that a fine-tuned decoder keeps it.
    """

    id: str
    channels: int  # of the latent as the denoiser sees it
    factor: int  # pixels per latent cell, along one side

    def __str__(self) -> str:
        return f"{self.id} ({self.channels} channels, 1/{self.factor})"
