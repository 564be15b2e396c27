"""A latent that knows its space."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError, SpaceMismatch
from fictile.latent.file import Header, read_latent, write_latent
from fictile.latent.space import LatentSpace


@dataclass(frozen=True, eq=False)
class Latent:
    """A batch of latents in normalised (model) units, and the space they live in.

    Latents of one space can be added and subtracted, and scaled by numbers; anything across spaces raises
    SpaceMismatch. Indexing, slicing and iteration run over the batch and keep it a batch.

    Raises RequestError when the data are not "b c h w" with the space's number of channels.
    """

    data: Float[Tensor, "b c h w"]
    space: LatentSpace
    size: tuple[int, int] | None = None  # height and width of the picture it came from
    vae: str | None = None  # content hash of the autoencoder that made it

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.shape[1] != self.space.channels:
            raise RequestError(
                f"The data of this latent have shape {tuple(self.data.shape)}; "
                f"a latent of {self.space} has shape (batch, {self.space.channels}, height, width)."
            )

    def check(self, space: LatentSpace) -> None:
        """Raises SpaceMismatch unless this latent lives in `space`."""
        if self.space != space:
            raise SpaceMismatch(
                f"This latent lives in {self.space}, but {space} was expected: decode it with the autoencoder of "
                f"{self.space.id}, then encode the picture with that of {space.id}."
            )

    def __add__(self, other: "Latent") -> "Latent":
        return self.combined(other, torch.add)

    def __sub__(self, other: "Latent") -> "Latent":
        return self.combined(other, torch.sub)

    def __mul__(self, factor: float) -> "Latent":
        return self.with_data(self.data * factor)

    def __rmul__(self, factor: float) -> "Latent":
        return self * factor

    def __truediv__(self, divisor: float) -> "Latent":
        return self.with_data(self.data / divisor)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int | slice) -> "Latent":
        """One sample (still as a batch, of one) or several."""
        return self.with_data(self.data[index] if isinstance(index, slice) else self.data[index].unsqueeze(0))

    def __iter__(self) -> Iterator["Latent"]:
        return (self[index] for index in range(len(self)))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Latent":
        """The same latent on another device or in another precision."""
        return self.with_data(self.data.to(device=device, dtype=dtype))

    def save(self, path: str | PathLike[str], notes: Mapping[str, str] | None = None) -> None:
        """Write a `.latent.safetensors` file (docs/latents.md), with further metadata entries if there are any.

        The name appears once the file is whole. Raises RequestError when the place cannot be written to.
        """
        write_latent(path, self.data, Header(self.space, self.size, self.vae), notes)

    @staticmethod
    def load(path: str | PathLike[str]) -> "Latent":
        """Read what `save` wrote, onto the CPU.

        Raises RequestError when the file is missing, damaged or of another kind.
        """
        data, header = read_latent(path)
        return Latent(data, header.space, header.size, header.vae)

    def combined(self, other: "Latent", operation: Callable[[Tensor, Tensor], Tensor]) -> "Latent":
        """The operation on the data of both; what is known of only one of them is no longer known of the result.

        Raises SpaceMismatch across spaces, RequestError for latents of different sizes or numbers (one and many fit).
        """
        other.check(self.space)
        if other.data.shape[2:] != self.data.shape[2:]:
            raise RequestError(
                f"A latent of {self._extent} pixels met one of {other._extent} (width x height); "
                "make both of pictures of one size."
            )
        if 1 < len(other) != len(self) > 1:
            raise RequestError(
                f"{len(self)} latents met {len(other)}; give as many of one as of the other, or just one of them."
            )
        size = self.size if self.size == other.size else None
        vae = self.vae if self.vae == other.vae else None
        return replace(self, data=operation(self.data, other.data), size=size, vae=vae)

    def with_data(self, data: Float[Tensor, "b c h w"]) -> "Latent":
        """Other data in the same space, with all else that is known."""
        return replace(self, data=data)

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the picture, which is as large as the latent if nothing else is known."""
        height, width = self.data.shape[2:]
        return self.size or (height * self.space.factor, width * self.space.factor)

    @property
    def _extent(self) -> str:
        height, width = self.picture_size
        return f"{width}x{height}"
