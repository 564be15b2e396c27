"""Pixels to normalised latents and back: the only place where a normalisation is applied."""

import copy
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder import tiling
from fictile.autoencoder.graph import Graphs
from fictile.autoencoder.hashing import encoder_hash
from fictile.autoencoder.kl import KL
from fictile.autoencoder.network import Network
from fictile.autoencoder.normalisation import Normalisation
from fictile.autoencoder.spec import Spec
from fictile.errors import RequestError
from fictile.latent import Latent, LatentSpace

N_co = TypeVar("N_co", bound=Network, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """The diagonal Gaussian over latents that a picture was encoded to, in normalised units (arXiv 1312.6114).

    Of an autoencoder without a posterior the log-variance is minus infinity: a sample is then the mean, exactly.
    """

    mean: Float[Tensor, "b c h w"]
    logvar: Float[Tensor, "b c h w"]
    space: LatentSpace
    size: tuple[int, int] | None = None  # height and width of the picture
    vae: str | None = None  # content hash of the autoencoder

    def mode(self) -> Latent:
        """The most likely latent: the mean."""
        return Latent(self.mean, self.space, self.size, self.vae)

    def sample(self, generator: torch.Generator) -> Latent:
        """One draw per picture. The noise is drawn on the generator's device, then moved to the mean's."""
        noise = torch.randn(self.mean.shape, generator=generator, device=generator.device, dtype=self.mean.dtype)
        data = self.mean + (self.logvar / 2).exp() * noise.to(self.mean.device)
        return Latent(data, self.space, self.size, self.vae)


class Autoencoder(Protocol):
    """Whatever turns pixels into latents of one space, and back."""

    @property
    def space(self) -> LatentSpace:
        """The space of its latents."""
        ...

    @property
    def content_hash(self) -> str | None:
        """Of the file it was loaded from, if any; its latents carry it."""
        ...

    def encode(self, pixels: Float[Tensor, "b 3 h w"]) -> Posterior:
        """Pixels in [-1, 1] to normalised latents."""
        ...

    def decode(self, latent: Latent) -> Float[Tensor, "b 3 h w"]:
        """Latents to pixels, about [-1, 1] (not clamped). Raises SpaceMismatch for a latent of another space."""
        ...


class NormalisedAutoencoder(Generic[N_co]):
    """A network that speaks normalised latents. It computes where its network is, in its precision.

    Without a `space` it names its own: the name and a hash of encoder and normalisation. `content_hash` is that of the
    file it was loaded from, if any; its latents carry it.

    Raises RequestError when the normalisation or the space does not fit the network.
    """

    def __init__(
        self,
        network: N_co,
        normalisation: Normalisation,
        name: str,
        space: LatentSpace | None = None,
        *,
        content_hash: str | None = None,
    ) -> None:
        spec = network.spec
        if normalisation.raw_channels != spec.channels:
            raise RequestError(
                f"The normalisation has {normalisation.raw_channels} channels, but latents of {name} have "
                f"{spec.channels}; give one scale and one shift for each channel."
            )
        channels, factor = normalisation.channels, spec.factor * normalisation.patch
        if space is None:
            fingerprint = encoder_hash(network, normalisation)
            space = LatentSpace(id=f"{name}-{fingerprint}", channels=channels, factor=factor)
        if (space.channels, space.factor) != (channels, factor):
            raise RequestError(
                f"The space is {space}, but {name} makes latents of {channels} channels at 1/{factor}; "
                "give the space that belongs to this autoencoder, or none."
            )
        self.network = network
        self.normalisation = normalisation
        self.name = name
        self.space = space
        self.content_hash = content_hash
        self.graphs: Graphs | None = None  # what encodes and decodes untiled in the network's place

    @property
    def spec(self) -> Spec:
        """What the network is made of."""
        return self.network.spec

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "b 3 h w"], *, within: int | None = None) -> Posterior:
        """Pixels in [-1, 1] to the posterior over normalised latents, in float32.

        With `within`, in bands of rows that need at most so many bytes beside the weights, if that can be (see
        `tiling`).

        Raises RequestError when the pixels are not "b 3 h w", their sides are not multiples of `space.factor`, or
        some are not finite.
        """
        self._check(pixels)
        given, size = self._to_network(pixels), (pixels.shape[2], pixels.shape[3])
        if within is None:
            mean, logvar = (self.graphs or self.network).encode(given)
        else:
            plan = tiling.make_plan(self.spec, size, given.dtype, encode=True, within=within)
            mean, logvar = tiling.encode(self.network, given, plan)
        return Posterior(
            mean=self.normalisation.apply(mean.float()),
            logvar=self.normalisation.apply_logvar(logvar.float()),
            space=self.space,
            size=size,
            vae=self.content_hash,
        )

    @torch.no_grad()
    def decode(self, latent: Latent, *, within: int | None = None) -> Float[Tensor, "b 3 h w"]:
        """A latent to pixels, about [-1, 1] (not clamped), in float32.

        With `within`, in bands of rows that need at most so many bytes beside the weights, if that can be (see
        `tiling`).

        Raises SpaceMismatch, before anything is computed, when the latent lives in another space.
        """
        latent.check(self.space)
        raw = self._to_network(self.normalisation.undo(latent.data.float()))
        if within is None:
            return (self.graphs or self.network).decode(raw).float()
        size = raw.shape[2] * self.spec.factor, raw.shape[3] * self.spec.factor
        plan = tiling.make_plan(self.spec, size, raw.dtype, encode=False, within=within)
        return tiling.decode(self.network, raw, plan).float()

    def placed(self, device: torch.device, dtype: torch.dtype, *, own: bool = False) -> "NormalisedAutoencoder[N_co]":
        """A copy of it elsewhere or in another precision, ready to run and nothing else; with `own`, its network itself
        is moved there tensor by tensor, so that it is held once.
        """
        network = self.network if own else copy.deepcopy(self.network)
        flat = all(parameter.ndim <= 4 for parameter in network.parameters())
        layout = torch.channels_last if flat else torch.preserve_format
        network = network.requires_grad_(False).eval()
        network = network.to(device, dtype, memory_format=layout)  # pyright: ignore[reportCallIssue] - its stub lacks this form
        return NormalisedAutoencoder(network, self.normalisation, self.name, self.space, content_hash=self.content_hash)

    def _check(self, pixels: Tensor) -> None:
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.numel() or not pixels.is_floating_point():
            raise RequestError(
                f"The pixels are {pixels.dtype} of shape {tuple(pixels.shape)}; "
                "give floating-point RGB of shape (batch, 3, height, width) in [-1, 1]."
            )
        height, width = pixels.shape[2:]
        factor = self.space.factor
        if height % factor or width % factor:
            raise RequestError(
                f"The picture is {width}x{height} (width x height), but both sides must be multiples of {factor}; "
                f"crop or resize it to {max(width // factor, 1) * factor}x{max(height // factor, 1) * factor}."
            )
        if not pixels.isfinite().all():
            raise RequestError("The picture has pixels that are not numbers; give finite values in [-1, 1].")

    def _to_network(self, x: Tensor) -> Tensor:
        return x.to(next(self.network.parameters()))


KLAutoencoder = NormalisedAutoencoder[KL]
"""The kind that can be trained here."""
AnyAutoencoder = NormalisedAutoencoder[Network]
"""Of whatever kind its network is."""


def as_kl(autoencoder: AnyAutoencoder) -> KLAutoencoder:
    """The same autoencoder, known to be of the KL kind. Raises RequestError when it is of another."""
    if not isinstance(autoencoder.network, KL):
        kind = type(autoencoder.network).__name__
        raise RequestError(f"{autoencoder.name} is an autoencoder of the kind {kind}, but KL was expected; give one.")
    return cast(KLAutoencoder, autoencoder)
