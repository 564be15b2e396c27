"""What the stages of a network cost, counted on torch's meta device, where nothing is computed and nothing is held.

Everything is per cell of the latent; a whole picture is a multiple of it.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from fictile.autoencoder.network import Network, make_network
from fictile.autoencoder.spec import Spec
from fictile.autoencoder.tiling.networks import decoding, encoding
from fictile.autoencoder.tiling.stages import Barrier, Flow, Local, Rows, SelfAttention, Stage


@dataclass(frozen=True, kw_only=True)
class Place:
    """Before a stage, or after the last."""

    rows: int  # of a map
    numbers: int  # in all maps that are alive


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage. Its operations are floating-point ones of convolutions and matrix products."""

    operations: int
    times_cells: bool  # whether they are for each pair of cells, as those of attention
    barrier: bool
    whole: int  # numbers that are in memory while an untiled run is here
    band: int  # the same for a band, which is copied together with the rows it has to see
    context: int  # rows that wait for the next band
    memory: int  # numbers that it remembers once it was taken


@dataclass(frozen=True, kw_only=True)
class Costs:
    """A network's stages, and the places between them: one more."""

    places: tuple[Place, ...]
    steps: tuple[Step, ...]

    def untiled(self, cells: int) -> int:
        """Numbers that an untiled run of so many cells holds at its largest, weights not counted.

        Attention is taken to be of the kind that never holds its scores, as torch's is on CPUs and CUDA.
        """
        return max(step.whole for step in self.steps) * cells


@lru_cache(maxsize=8)
def count_costs(spec: Spec, *, encode: bool) -> Costs:
    """The stages of an encoder or a decoder."""
    network = _weightless(spec)
    stages = encoding(network) if encode else decoding(network)
    rows: Rows = (torch.empty(1, *_cell(spec, encode=encode), device="meta"),)
    places, steps = [_place(rows)], list[Step]()
    for stage in stages:
        height = rows[-1].shape[2]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            if isinstance(stage, Barrier):
                stage.take(rows[-1], height)
            after = Flow(stage, height).push(rows)
        assert after, "a whole cell leaves nothing to wait for"
        steps.append(_step(stage, rows, after, counter.get_total_flops()))
        rows = after
        places.append(_place(rows))
    return Costs(places=tuple(places), steps=tuple(steps))


def _weightless(spec: Spec) -> Network:
    with torch.device("meta"):
        return make_network(spec).requires_grad_(False).eval()


def _cell(spec: Spec, *, encode: bool) -> tuple[int, int, int]:
    """What one cell of the latent is to this half: its pixels, or its channels."""
    return (3, spec.factor, spec.factor) if encode else (spec.channels, 1, 1)


def _place(rows: Rows) -> Place:
    alive = {id(one): one.numel() for one in rows}
    return Place(rows=rows[-1].shape[2], numbers=sum(alive.values()))


def _step(stage: Stage, before: Rows, after: Rows, operations: int) -> Step:
    attention = isinstance(stage, SelfAttention)
    beneath, newest = _place(before).numbers, after[-1].numel()
    if isinstance(stage, Local) and stage.growth > 1:
        newest += before[-1].numel() * stage.growth**2  # enlarged first, then smoothed
    return Step(
        operations=operations,
        times_cells=attention,
        barrier=isinstance(stage, Barrier),
        whole=beneath + newest,
        band=2 * (beneath + newest),
        context=stage.before + stage.after + stage.stride - 1 if isinstance(stage, Local) else 0,
        memory=2 * before[-1].numel() // 3 if attention else 0,
    )
