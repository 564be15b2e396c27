"""Pixels to latents and back."""

from fictile.autoencoder import tiling
from fictile.autoencoder.autoencoder import (
    AnyAutoencoder,
    Autoencoder,
    KLAutoencoder,
    NormalisedAutoencoder,
    Posterior,
    as_kl,
)
from fictile.autoencoder.comfy import COMFY_SUFFIX, read_comfy_latent, write_comfy_latent, write_latent
from fictile.autoencoder.dc import DC
from fictile.autoencoder.graph import Ready
from fictile.autoencoder.hashing import encoder_hash
from fictile.autoencoder.kl import KL
from fictile.autoencoder.known import FLUX1, FLUX2, KNOWN, SANA, SD1, SD3, SDXL, WAN21, Known, published
from fictile.autoencoder.network import KINDS, Network, kind_of, make_network
from fictile.autoencoder.normalisation import Normalisation
from fictile.autoencoder.precision import LADDER, PrecisionLadder, PrecisionMemory
from fictile.autoencoder.spec import DCSpec, KLSpec, Spec, TinySpec, WanSpec
from fictile.autoencoder.tiny import Tiny
from fictile.autoencoder.wan import Wan

__all__ = [
    "COMFY_SUFFIX",
    "DC",
    "FLUX1",
    "FLUX2",
    "KINDS",
    "KL",
    "KNOWN",
    "LADDER",
    "SANA",
    "SD1",
    "SD3",
    "SDXL",
    "WAN21",
    "AnyAutoencoder",
    "Autoencoder",
    "DCSpec",
    "KLAutoencoder",
    "KLSpec",
    "Known",
    "Network",
    "Normalisation",
    "NormalisedAutoencoder",
    "Posterior",
    "PrecisionLadder",
    "PrecisionMemory",
    "Ready",
    "Spec",
    "Tiny",
    "TinySpec",
    "Wan",
    "WanSpec",
    "as_kl",
    "encoder_hash",
    "kind_of",
    "make_network",
    "published",
    "read_comfy_latent",
    "tiling",
    "write_comfy_latent",
    "write_latent",
]
