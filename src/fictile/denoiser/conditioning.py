"""What a picture is asked to be, as the network takes it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Added:
    """SDXL's second conditioning, which joins the time embedding (arXiv 2307.01952, section 2.2)."""

    pooled: Float[Tensor, "b p"]  # the text as one vector
    sizes: Float[Tensor, "b k"]  # original size, crop, target size, in pixels

    def repeat(self, count: int) -> "Added":
        """The whole batch `count` times over."""
        return Added(self.pooled.repeat(count, 1), self.sizes.repeat(count, 1))


@dataclass(frozen=True)
class Conditioning:
    """The text as a sequence of vectors; for networks that have them, the added part, and what stands beside the noisy
    latent as further channels (see `Denoiser.sight`). One row per picture.
    """

    context: Float[Tensor, "b n d"]
    added: Added | None = None
    beside: Float[Tensor, "b k h w"] | None = None

    @classmethod
    def of(
        cls,
        context: Float[Tensor, "b n d"],
        pooled: Float[Tensor, "b p"] | None = None,
        sizes: Float[Tensor, "b k"] | None = None,
    ) -> "Conditioning":
        """Of the features of a text; `pooled` and `sizes` are given together or not at all."""
        if pooled is None or sizes is None:
            if pooled is not sizes:
                raise ValueError("The pooled text or the sizes are missing; give both or neither.")
            return cls(context)
        return cls(context, Added(pooled, sizes))

    def __len__(self) -> int:
        return len(self.context)

    def repeat(self, count: int) -> "Conditioning":
        """The same conditioning for `count` pictures; of several rows, the whole batch `count` times over."""
        return self.cat([self] * count)

    @classmethod
    def cat(cls, parts: Sequence["Conditioning"]) -> "Conditioning":
        """One batch of several; either all of them have an added part, or none."""
        added = [part.added for part in parts if part.added is not None]
        beside = [part.beside for part in parts if part.beside is not None]
        for what, having in (("an added part", added), ("something beside", beside)):
            if having and len(having) < len(parts):
                raise ValueError(f"{len(having)} of {len(parts)} conditionings have {what}; all or none must.")
        return cls(
            context=torch.cat([part.context for part in parts]),
            added=Added(
                pooled=torch.cat([part.pooled for part in added]),
                sizes=torch.cat([part.sizes for part in added]),
            )
            if added
            else None,
            beside=torch.cat(beside) if beside else None,
        )
