"""Proof that what was not painted is what it was."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped

from fictile.picture.colour import colours
from fictile.picture.samples import Samples

Where = Bool[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two pictures of one size differ where nothing was painted."""

    pixels: int  # that were compared
    changed: int  # of them, those with any sample that differs
    largest: float  # difference of a sample, as a part of the full range: 1/255 is one code value of 8 bit
    mean: float  # difference, over all samples compared
    by_sample: bool  # True where stored samples were compared; False where only what is seen could be, in sRGB

    @property
    def none(self) -> bool:
        """Whether every stored sample is the same, the colours under transparent pixels included."""
        return self.by_sample and self.changed == 0


def hash_samples(samples: Samples, where: Where) -> str:
    """SHA-256 over the colours, the depth and the samples of the pixels that `where` names, row by row as stored.

    An alpha channel that is opaque in all of these does not count: some formats leave it out.
    """
    array = samples.array[where]
    if samples.alpha and bool((array[:, -1] == samples.top).all()):
        array = array[:, :-1]
    digest = hashlib.sha256(f"{samples.colours} {array.dtype.name} {array.shape}\n".encode())
    digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def comparable(a: Samples, b: Samples) -> bool:
    """Whether equal samples are equal colours: the same profile, and both or neither CMYK."""
    return a.profile == b.profile and (a.colours == "cmyk") == (b.colours == "cmyk")


def sample_difference(a: Samples, b: Samples, where: Where) -> Difference:
    """Compare stored samples; where only one picture has it, grey counts as RGB, 8 bit as 16, no alpha as opaque."""
    return measured(_in_common(a)[where], _in_common(b)[where], by_sample=True)


def measured(a: Shaped[np.ndarray, "n c"], b: Shaped[np.ndarray, "n c"], *, by_sample: bool) -> Difference:
    """Compare values between 0 and 1, pixel by pixel."""
    apart = np.abs(a - b)
    return Difference(
        pixels=len(apart),
        changed=int((apart > 0).any(axis=-1).sum()),
        largest=float(apart.max(initial=0)),
        mean=float(apart.mean()) if apart.size else 0.0,
        by_sample=by_sample,
    )


def _in_common(samples: Samples) -> Shaped[np.ndarray, "h w c"]:
    """All channels that any picture has, from 0 to 1: exact, since 255 divides 65535."""
    array = samples.array.astype(np.float64) * (65535 // samples.top) / 65535
    inks = array[..., : colours(samples).shape[2]]
    if samples.colours == "grey":
        inks = inks.repeat(3, axis=2)
    opacity = array[..., -1:] if samples.alpha else np.ones_like(array[..., :1])
    return np.concatenate([inks, opacity], axis=2)
