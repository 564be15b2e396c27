"""Encoding and decoding pictures of any size in bounded memory, with the answer of an untiled run.

Tiles that are decoded one by one and blended differ from the picture as a whole, because a group norm divides by the
statistics of the whole picture and attention looks at all of it. Here nothing is blended. The picture goes through the
network in bands of rows, and each layer gets exactly what it would get in an untiled run:

1. A network is a list of stages (`networks.py`). A convolution keeps the last rows of a band for the next one
   (`stages.py`), so that nothing is computed twice at the seams and nothing is missing.
2. A group norm is a barrier: its mean and variance are those of the whole picture, so one pass takes them band by band
   before another may use them. Softmax attention's barrier takes keys and values, linear attention's its two sums. A
   decoder of Stable Diffusion has 31 barriers.
3. Between two barriers a pass may write down a map, which the next pass starts from; or it writes nothing, and the next
   one computes the same again from the older map. The 256-channel map of the full size, the largest there is in an
   untiled run, need never be held: the map before it, of a quarter of the cells, is enough to make it again. What was
   read for the last time is let go at once.
4. Which maps to keep is a small shortest-path problem, solved exactly from counted tensors and operations (`costs.py`,
   `plan.py`): the fewest operations within the memory there is.

The answer differs from an untiled run's by rounding only. For float32 the bound is `ERROR_BOUND`, held by tests.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.autoencoder.network import Network
from fictile.autoencoder.spec import DCSpec, KLSpec, Spec, TinySpec, WanSpec
from fictile.autoencoder.tiling.costs import count_costs
from fictile.autoencoder.tiling.networks import decoding, encoding
from fictile.autoencoder.tiling.plan import Plan, Planner
from fictile.autoencoder.tiling.run import run
from fictile.autoencoder.tiling.stages import Stage
from fictile.convolution import convolves_fast
from fictile.malloc import given_back

__all__ = ["ERROR_BOUND", "Plan", "decode", "encode", "is_small", "make_plan", "peak_memory", "untiled_memory"]

ERROR_BOUND = 1e-3  # of the range of the answer, between a tiled and an untiled run in float32
SHARE, LEAST = 0.3, 2**30  # what a plan takes of plenty: this part of an untiled run's memory, or these bytes
MOST_MAPS = 8  # of the greatest width and the full size: no untiled run here holds as much


def make_plan(
    spec: Spec, size: tuple[int, int], dtype: torch.dtype, *, encode: bool, within: int | None = None
) -> Plan:
    """How one picture of this height and width, in pixels, goes through a network.

    The plan has the fewest operations that need three tenths of an untiled run's memory or 1 GiB, and at most `within`
    bytes. Where that is too little for any, it is the plan with the least memory. `plan.memory` bounds what it takes
    beside the weights, on a CPU with glibc's malloc (`malloc.py`).
    """
    planner = _planner(spec, size, dtype, encode=encode)
    enough = max(int(SHARE * planner.untiled_memory), LEAST)
    return planner.plan(enough if within is None else min(enough, within))


def untiled_memory(spec: Spec, size: tuple[int, int], dtype: torch.dtype, *, encode: bool) -> int:
    """Bytes that an untiled run of one picture needs beside the weights, from counted tensors."""
    return _planner(spec, size, dtype, encode=encode).untiled_memory


def peak_memory(
    spec: Spec, size: tuple[int, int], dtype: torch.dtype, *, encode: bool, plan: Plan | None = None
) -> int:
    """Bytes at the largest, beside the weights, for one picture of this height and width: by a plan, or untiled."""
    return plan.memory if plan else untiled_memory(spec, size, dtype, encode=encode)


def is_small(spec: Spec, size: tuple[int, int], dtype: torch.dtype, free: int) -> bool:
    """Whether an untiled run fits for certain, so that nobody needs to count."""
    height, width = size
    return MOST_MAPS * _widest(spec) * height * width * dtype.itemsize <= free


def encode(
    network: Network, pixels: Float[Tensor, "b 3 h w"], plan: Plan
) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
    """What `network.encode` answers, one picture after another."""
    return network.posterior(_one_by_one(encoding, network, pixels, plan))


def decode(network: Network, z: Float[Tensor, "b z hz wz"], plan: Plan) -> Float[Tensor, "b 3 h w"]:
    """What `network.decode` answers, one picture after another."""
    return _one_by_one(decoding, network, z, plan)


def _one_by_one(
    half: Callable[[Network], list[Stage]], network: Network, given: Float[Tensor, "b c h w"], plan: Plan
) -> Float[Tensor, "b d h2 w2"]:
    with given_back():
        first, *more = [run(half(network), plan, one) for one in given.split(1)]
    return torch.cat([first, *more]) if more else first


def _planner(spec: Spec, size: tuple[int, int], dtype: torch.dtype, *, encode: bool) -> Planner:
    high, wide = (side // spec.factor for side in size)
    return Planner(costs=count_costs(spec, dtype, encode=encode, fast=convolves_fast()), high=high, wide=wide)


def _widest(spec: Spec) -> int:
    match spec:
        case KLSpec(widths=widths, decoder_widths=more):
            return max(*widths, *(more or ()), 0)
        case DCSpec(widths=widths) | WanSpec(widths=widths):
            return max(widths)
        case TinySpec(width=width, decoder_widths=widths, stem_widths=more):
            return max(width, *widths, *more)
