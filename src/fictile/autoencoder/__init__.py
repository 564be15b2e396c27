"""Pixels to latents and back."""

from fictile.autoencoder.autoencoder import Autoencoder, KLAutoencoder, Posterior
from fictile.autoencoder.hashing import encoder_hash
from fictile.autoencoder.kl import KL
from fictile.autoencoder.known import FLUX1, KNOWN, SD1, SD3, SDXL, Known
from fictile.autoencoder.normalisation import Normalisation
from fictile.autoencoder.spec import KLSpec

__all__ = [
    "FLUX1",
    "KL",
    "KNOWN",
    "SD1",
    "SD3",
    "SDXL",
    "Autoencoder",
    "KLAutoencoder",
    "KLSpec",
    "Known",
    "Normalisation",
    "Posterior",
    "encoder_hash",
]
