"""What denoising takes: every evaluation of the denoiser, guided and with work left out as it will be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from fictile.checkpoint import Parts
from fictile.denoiser import (
    CachedSteps,
    Conditioning,
    Denoiser,
    Speed,
    Turns,
    UNet,
    guide,
    guide_by_picture,
    speed_of,
)
from fictile.denoiser.blocks import Shifts
from fictile.denoiser.transformer import Reading
from fictile.engine import Work, count
from fictile.engine.counting import taken
from fictile.planning.request import Request
from fictile.recipe import PICTURE_GUIDANCE
from fictile.schedule import Level


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """All evaluations of the denoiser for all pictures."""

    evaluations: int
    work: Work  # of all of them, and of reading text and times once; its memory holds what stays from step to step


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """One evaluation for one group of pictures, counted whole and with work left out."""

    rows: int  # that the network sees
    whole: Work
    shallow: Work
    kept: int  # bytes that the whole one leaves for the others


class _Steps:
    """Runs the network as a run would, afresh for each evaluation that is counted, and notes how many rows it saw."""

    def __init__(self, network: UNet, speed: Speed | None) -> None:
        self._network, self._speed = network, speed
        self.rows = 0
        self.begin()

    def begin(self) -> None:
        """The next evaluation is whole."""
        self.cached = CachedSteps(self._network, self._speed) if self._speed else None

    def __call__(self, x: Tensor, shifts: Shifts, text: Reading) -> Tensor:
        self.rows = len(x)
        return (self.cached or self._network)(x, shifts, text)


def denoising(parts: Parts, denoiser: Denoiser, request: Request, group: int, context: int) -> Denoising:
    """The `denoiser`, as it runs but on the meta device, asked for `group` pictures at a time; a prompt has become
    `context` vectors.

    The real code of guidance and of a speed is counted for one evaluation of each kind, and weighed as the run will
    have them. Raises RequestError for a speed that there is none of.
    """
    speed, levels = speed_of(request.speed), request.levels(parts)
    groups = [group] * (request.count // group) + [request.count % group] * (request.count % group > 0)
    steps = _Steps(denoiser.network, speed)
    made = list[Callable[[Tensor, Level], Tensor]]()

    def read() -> None:
        told = _told(parts, request, context)
        guided = replace(denoiser, step=steps)
        known = tuple(dict.fromkeys(levels))
        if denoiser.sight == "picture":
            made.append(guide_by_picture(guided, told, told, request.guidance, PICTURE_GUIDANCE, known))
        else:
            made.append(guide(guided, told, told, request.guidance, known))

    reading = count(read)
    known = dict[tuple[bool, int], _Evaluation]()
    turns = Turns(speed, len(groups)) if speed else None
    work, kept = reading, [0] * len(groups)
    for level in levels:
        acts = request.guidance.acts_at(level)
        for place, pictures in enumerate(groups):
            if (acts, pictures) not in known:
                x = torch.empty(pictures, *request.latent(parts), device="meta")
                known[acts, pictures] = _counted(partial(made[0], x, level), steps)
            one = known[acts, pictures]
            whole = turns is None or turns.is_whole(one.rows)
            work += one.whole if whole else one.shallow
            kept[place] = max(kept[place], one.kept)
    held = reading.memory + sum(kept)
    return Denoising(evaluations=len(levels), work=replace(work, memory=work.memory + held))


def _counted(run: Callable[[], Tensor], steps: _Steps) -> _Evaluation:
    steps.begin()
    whole = count(run)
    if steps.cached is None:
        return _Evaluation(rows=steps.rows, whole=whole, shallow=whole, kept=0)
    kept = steps.cached.kept
    return _Evaluation(rows=steps.rows, whole=whole, shallow=count(run), kept=sum(taken(one.nbytes) for one in kept))


def _told(parts: Parts, request: Request, context: int) -> Conditioning:
    """A conditioning of the right shape: a row for all pictures, as a run has it."""
    spec = parts.denoiser.network.spec
    channels, high, wide = request.latent(parts)
    pooled = sizes = beside = None
    if added := parts.text.added:
        pooled, sizes = (torch.empty(1, features, device="meta") for features in added)
    if more := spec.in_channels - channels:
        beside = torch.empty(1, more, high, wide, device="meta")
    told = Conditioning.of(torch.empty(1, context, spec.context_width, device="meta"), pooled, sizes)
    return replace(told, beside=beside)
