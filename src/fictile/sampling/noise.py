"""Where noise comes from: the CPU, one generator per sample, so that every device and batch size draws the same."""

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError

LARGEST_SEED = 2**63 - 1


def initial_noise(shape: tuple[int, ...], seed: int, count: int) -> Float[Tensor, "b ..."]:
    """Standard normal float32 noise on the CPU for `count` samples of `shape`; sample i is drawn from seed + i.

    Raises:
        RequestError: for a seed below 0, or one that leaves 63 bits on the way to the last sample.
    """
    return torch.stack([_draw(shape, seed + i) for i in range(count)])


class StepNoise:
    """The noise of stochastic steps, keyed by (seed of the sample, step): no draw depends on any other.

    Steps may be skipped, repeated or taken in any order, and a batch holds what its samples would get alone.
    Independent of `initial_noise` of the same seeds.

    Raises:
        RequestError: for a seed below 0 or above 63 bits.
    """

    def __init__(self, shape: tuple[int, ...], seeds: Sequence[int]) -> None:
        self.shape = shape
        self.seeds = tuple(_checked(seed) for seed in seeds)

    def __call__(self, step: int) -> Float[Tensor, "b ..."]:
        """Standard normal float32 noise on the CPU for each sample at this step."""
        return torch.stack([_draw(self.shape, _key(seed, step)) for seed in self.seeds])


def _draw(shape: tuple[int, ...], seed: int) -> Float[Tensor, "..."]:
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(_checked(seed)), dtype=torch.float32)


def _checked(seed: int) -> int:
    if not 0 <= seed <= LARGEST_SEED:
        raise RequestError(f"Seed {seed} is out of range: give a whole number from 0 to {LARGEST_SEED}.")
    return seed


def _key(seed: int, step: int) -> int:
    """A 63-bit seed from a sample's seed and a step, as good as independent of those of other pairs."""
    pair = seed.to_bytes(8, "little") + step.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(pair, digest_size=8, person=b"fictile step").digest(), "little") >> 1
