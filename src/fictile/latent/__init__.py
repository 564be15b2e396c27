"""What a latent is, and what may be done to it."""

from fictile.latent.latent import Latent
from fictile.latent.space import LatentSpace

__all__ = ["Latent", "LatentSpace"]
