"""Whether an autoencoder and a denoiser belong together, and what says so: plain data."""

from dataclasses import dataclass
from typing import Literal

from fictile.latent import LatentSpace

Kind = Literal["belongs", "foreign", "cannot tell"]
Source = Literal["metadata", "bundle", "hash", "shape", "encoder", "latents", "colours", "scale", "denoiser"]

THRESHOLD = 0.9  # a confidence below it decides nothing; docs/matching.md measures what it lets through


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One thing that was looked at. `weight` is how far it was relied on, 0 to 1: 0 was only looked at, 1 decides."""

    source: Source
    looked_at: str  # what, for people: "the metadata of vae.safetensors"
    says: str  # one sentence
    weight: float


@dataclass(frozen=True, kw_only=True)
class SpaceDecision:
    """Which latent space an autoencoder speaks. `space` is None where that cannot be told; `candidates` are the ids of
    the spaces that are left then, likeliest first.
    """

    vae: str
    space: LatentSpace | None
    confidence: float  # in `space`; where it is None, in the first candidate
    evidence: tuple[Evidence, ...]
    candidates: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What was found, for people."""
        if self.space:
            return f"{self.vae} speaks the latent space {self.space}, with confidence {self.confidence:.2f}."
        return f"{self.vae} does not show which latent space it speaks; {_left(self.candidates)}."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether latents of `denoiser` are for `vae`. Only "foreign" is sure enough to refuse a pair."""

    kind: Kind
    denoiser: str
    vae: str
    denoiser_space: LatentSpace | None
    vae_space: LatentSpace | None
    confidence: float  # in `kind`, 0 to 1; of "cannot tell", in what comes closest
    evidence: tuple[Evidence, ...]
    candidates: tuple[str, ...] = ()  # ids of spaces that the autoencoder may speak, where that is open

    def sentence(self) -> str:
        """Both sides, and what to do."""
        wanted = f"works in {self.denoiser_space}" if self.denoiser_space else "works in a space that it does not name"
        if self.kind == "belongs":
            return f"{self.vae} belongs to {self.denoiser}, which {wanted}."
        if self.kind == "foreign":
            own = f"speaks {self.vae_space}" if self.vae_space else "speaks another space"
            return f"{self.denoiser} {wanted}, but {self.vae} {own}; {self.remedy()}."
        return (
            f"{self.denoiser} {wanted}, and {self.vae} does not show which space it speaks; "
            f"{_left(self.candidates)}; {self.remedy()}."
        )

    def remedy(self) -> str:
        """What to do, as the end of a sentence."""
        if self.kind == "belongs":
            return "nothing is to be done"
        own = f"an autoencoder of {self.denoiser_space.id}" if self.denoiser_space else "the one that it came with"
        if self.kind == "foreign":
            return f"give {own}, or leave it out and use the one inside the model"
        return f"look at one picture before many, or give {own}"


def _left(candidates: tuple[str, ...]) -> str:
    return f"it may be {' or '.join(candidates)}" if candidates else "it is none of the published ones"
