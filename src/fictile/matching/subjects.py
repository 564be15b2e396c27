"""The two sides of a match, as far as they are known before anything is compared."""

from dataclasses import dataclass, field
from typing import Literal

from fictile.autoencoder import AnyAutoencoder, Network, Normalisation
from fictile.checkpoint import Parts
from fictile.denoiser import Conditioning, Denoiser
from fictile.latent import LatentSpace

Told = Literal["metadata", "bundle"]


@dataclass(frozen=True, kw_only=True)
class VaeSubject:
    """An autoencoder, and what is said of it. `normalisation` and `space` are None where nothing says them."""

    name: str  # for people: a path
    network: Network = field(repr=False)
    normalisation: Normalisation | None = field(default=None, repr=False)
    space: LatentSpace | None = None
    told: Told | None = None  # who says `space`: its own file, or the denoiser that lies in the same file or folder
    hashes: tuple[str, ...] = ()  # SHA-256 of its files

    @classmethod
    def of(cls, autoencoder: AnyAutoencoder, told: Told = "metadata") -> "VaeSubject":
        """One that is loaded already."""
        return cls(
            name=autoencoder.name,
            network=autoencoder.network,
            normalisation=autoencoder.normalisation,
            space=autoencoder.space,
            told=told,
            hashes=(autoencoder.content_hash,) if autoencoder.content_hash else (),
        )


@dataclass(frozen=True, kw_only=True)
class DenoiserSubject:
    """A denoiser, or the model that it is part of.

    `denoiser` may be left out: then it is not asked to judge. `autoencoder` is the one that came with it, against whose
    latents another's can be held.
    """

    name: str
    space: LatentSpace | None
    channels: int | None = None  # of its latents, where no space is known
    because: str = ""  # how its space is known, as a phrase: "its family is sd1"
    autoencoder: AnyAutoencoder | None = field(default=None, repr=False)
    denoiser: Denoiser | None = field(default=None, repr=False)
    unasked: Conditioning | None = field(default=None, repr=False)  # of an empty prompt, one row, for the denoiser

    @classmethod
    def of(cls, parts: Parts) -> "DenoiserSubject":
        """A whole model that is loaded already."""
        empty, _ = parts.text.condition("", "", size=parts.defaults.size)
        return cls(
            name=parts.name,
            space=parts.denoiser.space,
            because="it says so itself",
            autoencoder=parts.autoencoder,
            denoiser=parts.denoiser,
            unasked=Conditioning.of(empty.context, empty.pooled, empty.sizes),
        )
