"""What the stages of a network cost, counted on torch's meta device, where nothing is computed and nothing is held.

Bytes and operations are per cell of the latent; a whole picture is a multiple of them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from fictile.autoencoder.network import Network, make_network
from fictile.autoencoder.spec import Spec
from fictile.autoencoder.tiling.networks import decoding, encoding
from fictile.autoencoder.tiling.stages import Barrier, Flow, Local, Rows, SelfAttention, Stage
from fictile.convolution import fast_convolutions

HIGH, WIDE = 64, 16  # cells of a band that is counted: so many that its border counts for little
REARRANGED = 2  # copies of one layer's weights that a convolution makes
SPARE = 0.1  # what 16 bits take beyond what is counted, as a part of it; the most that was measured is 0.097
BANDS = 3  # the first has a border above, the last one below


@dataclass(frozen=True, kw_only=True)
class Place:
    """Before a stage, or after the last."""

    rows: int  # of a map
    size: int  # bytes of all maps that are alive


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage. Its operations are floating-point ones of convolutions and matrix products."""

    operations: int
    times_cells: bool  # whether they are for each pair of cells, as those of attention
    barrier: bool
    whole: int  # bytes that are in memory while an untiled run is here
    band: int  # the same for a band
    context: int  # rows that wait for the next band
    memory: int  # bytes that it remembers once it was taken


@dataclass(frozen=True, kw_only=True)
class Costs:
    """A network's stages, and the places between them: one more."""

    places: tuple[Place, ...]
    steps: tuple[Step, ...]
    fixed: int  # bytes beside the weights for a picture of any size: weights that are rearranged
    spare: float  # what is set aside beyond what is counted, as a part of it

    def untiled(self, cells: int) -> int:
        """Bytes that an untiled run of so many cells holds at its largest, weights not counted.

        Attention is taken to be of the kind that never holds its scores, as torch's is on CPUs and CUDA.
        """
        return max(step.whole for step in self.steps) * cells


class Meter(TorchDispatchMode):
    """What is computed inside the block, and the memory that is made there and still referred to."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[StorageWeakRef, int] = {}
        self.operations = 0
        self.largest = 0  # bytes

    @property
    def held(self) -> int:
        """Bytes that are referred to at this moment."""
        self._sizes = {made: size for made, size in self._sizes.items() if not made.expired()}
        return sum(self._sizes.values())

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Without this, torch's compiler would be imported, in seconds, to be told to look away."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func.overloadpacket):
            self.operations += count(*args, **(kwargs or {}), out_val=answer)
        given = {StorageWeakRef(one.untyped_storage()) for one in _tensors((args, kwargs))}
        for one in _tensors(answer):
            storage = one.untyped_storage()
            if (made := StorageWeakRef(storage)) not in given:
                self._sizes[made] = storage.nbytes()
        self.largest = max(self.largest, self.held)
        return answer


def _tensors(tree: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


@lru_cache(maxsize=8)
def count_costs(spec: Spec, dtype: torch.dtype, *, encode: bool, fast: bool) -> Costs:
    """The stages of an encoder or a decoder, in this precision; `fast` as in `fast_convolutions`."""
    # In inference mode operations pass a meter unseen.
    with torch.inference_mode(False), torch.no_grad(), fast_convolutions(fast):
        return _counted(_weightless(spec, dtype), spec, dtype, encode=encode)


def _counted(network: Network, spec: Spec, dtype: torch.dtype, *, encode: bool) -> Costs:
    stages = encoding(network) if encode else decoding(network)
    channels, side = (3, spec.factor) if encode else (spec.channels, 1)
    band = torch.empty(1, channels, side * HIGH, side * WIDE, device="meta", dtype=dtype)
    rows: Rows = (band.contiguous(memory_format=torch.channels_last),)
    places, steps, kernels = [_place(rows)], list[Step](), list[int]()
    for stage in stages:
        step, prepared, rows = _step(stage, rows)
        steps.append(step)
        kernels.append(prepared)
        places.append(_place(rows))
    largest = max(*kernels, *(parameter.nbytes for parameter in network.parameters()))
    return Costs(
        places=tuple(places),
        steps=tuple(steps),
        fixed=sum(kernels) + REARRANGED * largest,
        spare=SPARE if dtype.itemsize < torch.float32.itemsize else 0.0,
    )


def _weightless(spec: Spec, dtype: torch.dtype) -> Network:
    with torch.device("meta"):
        return make_network(spec).requires_grad_(False).eval().to(dtype)


def _place(rows: Rows) -> Place:
    return Place(rows=rows[-1].shape[2] // HIGH, size=_per_cell(_size(rows)))


def _size(rows: Rows) -> int:
    """Bytes, where a map that is there twice counts once."""
    return sum({id(one): one.nbytes for one in rows}.values())


def _per_cell(amount: int, cells: int = HIGH * WIDE) -> int:
    return math.ceil(amount / cells)


def _step(stage: Stage, rows: Rows) -> tuple[Step, int, Rows]:
    """The stage, the bytes that it prepares for a picture of any size, and the rows after it."""
    *_, newest = rows
    cells, attention = BANDS * HIGH * WIDE, isinstance(stage, SelfAttention)
    with Meter() as meter:
        if isinstance(stage, Local):
            Flow(stage, newest.shape[2]).push(rows)
        prepared, meter.operations = meter.held, 0
        after, largest, remembered = _pushed(stage, rows, meter)
    if attention:  # its scores are in blocks that count for nothing, and its answers are put together
        largest = remembered + 2 * after[-1].nbytes
    whole = _size(rows) + after[-1].nbytes
    if isinstance(stage, Local) and stage.growth > 1:
        whole += newest.nbytes * stage.growth**2  # enlarged first, then smoothed
    step = Step(
        operations=_per_cell(meter.operations, cells * cells if attention else cells),
        times_cells=attention,
        barrier=isinstance(stage, Barrier),
        whole=_per_cell(whole),
        band=_per_cell(_size(rows) + largest - prepared - remembered),
        context=stage.before + stage.after + stage.stride - 1 if isinstance(stage, Local) else 0,
        memory=_per_cell(remembered, cells),
    )
    return step, prepared, after


def _pushed(stage: Stage, rows: Rows, meter: Meter) -> tuple[Rows, int, int]:
    """Three bands, one after another: the second's answer, what was held until then at most, what a barrier keeps."""
    before, meter.largest = meter.held, 0
    height = BANDS * rows[-1].shape[2]
    if isinstance(stage, Barrier):
        for _ in range(BANDS):
            stage.take(rows[-1], height)
    remembered = meter.held - before
    flow = Flow(stage, height)
    flow.push(rows)
    after = flow.push(rows)
    assert after, "a whole band leaves nothing to wait for"
    largest = meter.largest
    flow.push(rows)
    return after, largest, remembered
