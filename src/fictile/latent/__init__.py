"""What a latent is, and what may be done to it."""

from fictile.latent import mix
from fictile.latent.file import SUFFIX, read_notes
from fictile.latent.latent import Latent
from fictile.latent.preview import LinearPreview
from fictile.latent.space import SPACES, LatentSpace

__all__ = ["SPACES", "SUFFIX", "Latent", "LatentSpace", "LinearPreview", "mix", "read_notes"]
