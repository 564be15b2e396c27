"""The fingerprint that tells one trained latent space from another."""

import hashlib
import struct

import torch
from torch import Tensor

from fictile.autoencoder.network import Network
from fictile.autoencoder.normalisation import Normalisation

DIGITS = 8


def encoder_hash(network: Network, normalisation: Normalisation) -> str:
    """8 hex digits of a SHA-256 over all that shapes a latent: the encoder, its quant convolution, the normalisation.

    The decoder does not count, so that a fine-tuned one keeps its space. Weights count as float16, so that a
    network has the same hash before it is saved in half precision and after it is loaded in full.
    """
    digest = hashlib.sha256(struct.pack(f"<{2 * normalisation.channels}d", *normalisation.scale, *normalisation.shift))
    if normalisation.patch > 1:
        digest.update(f"patch {normalisation.patch}".encode())
    for name, weight in sorted(network.state_dict().items()):
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(f"{name}{tuple(weight.shape)}".encode())
            digest.update(half_bytes(weight))
    return digest.hexdigest()[:DIGITS]


def half_bytes(weight: Tensor) -> bytes:
    """The weight as float16, row by row."""
    return weight.detach().to("cpu", torch.float16).contiguous().numpy().tobytes()
