"""The choice: of all ways to run a request, the fastest that fits into the memory there is."""

import os
import sys
from dataclasses import dataclass, replace
from functools import partial

import psutil

from fictile.checkpoint import Parts
from fictile.diffusion import check_speed
from fictile.engine import COMPILED, OPENVINO, Runtime, calibrate
from fictile.errors import RequestError
from fictile.planning.forecast import Forecast, Speeds, at_most, forecast
from fictile.planning.request import Request
from fictile.planning.way import other_ways, plain_way

UNKNOWN = {
    OPENVINO: (
        "This is a plan for the eager back end. OpenVINO takes more memory than that, which nobody can foretell: it "
        "holds graphs with weights of their own beside torch's, and a limit may be passed. It first makes a graph, or "
        "reads it."
    ),
    COMPILED: (
        "This is a plan for the eager back end. What compiled programs take is not foretold: they hold weights of "
        "their own, and a limit may be passed. The first run compiles them, which takes minutes."
    ),
}
SMALLER = (0.75, 0.5, 0.25)  # of the sides: sizes that are tried where nothing fits


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a request is run, and what it would take otherwise."""

    request: Request
    chosen: Forecast
    plain: Forecast
    others: tuple[Forecast, ...]  # ways with less memory, each with less than those before it
    room: int  # bytes that the process may hold

    @property
    def differences(self) -> tuple[str, ...]:
        """What it does otherwise than the plain way, a phrase each."""
        return self.chosen.way.differences(self.plain.way)

    @property
    def tiling(self) -> str:
        """What to ask the autoencoder for."""
        return "on" if self.chosen.way.tiling else self.request.tiling

    @property
    def group(self) -> int | None:
        """How many pictures to denoise at once; None for all of them."""
        return self.chosen.way.group if self.chosen.way.group < self.plain.way.group else None

    @property
    def once(self) -> bool:
        """Whether to load the model for this run alone."""
        return self.chosen.way.once

    @property
    def reservation(self) -> str | None:
        """Where it is not known what the request takes, what is known, as a sentence."""
        return UNKNOWN.get(self.chosen.way.runtime.backend)

    def lines(self, *, verbose: bool) -> list[str]:
        """What a user should know, a line each: what is done otherwise to fit, and where that cannot be promised; with
        `verbose`, each phase as well.
        """
        found = list[str]()
        if self.differences:
            found.append(f"To fit into {in_words(self.room)}: {', '.join(self.differences)}.")
        if verbose:
            found += [f"Plan: {one.name}, {in_words(one.memory)}, {one.seconds:.1f} s" for one in self.chosen.phases]
        return found + ([self.reservation] if self.reservation else [])


def prepare(parts: Parts, request: Request, runtime: Runtime) -> Plan | None:
    """The plan to run a request by, or None where it is so small that it fits for certain, and nobody needs to count.

    Raises RequestError as `make_plan` does.
    """
    unknown = runtime.backend in UNKNOWN and runtime.max_memory is not None  # which has to be said
    if at_most(parts, request) <= runtime.room() and not unknown:
        check_speed(request.speed, runtime.backend)
        return None
    return make_plan(parts, request, runtime, thorough=False)


def make_plan(
    parts: Parts, request: Request, runtime: Runtime, *, process: int | None = None, thorough: bool = True
) -> Plan:
    """The fastest way to run a request that fits; `parts` are on the meta device (see `outline`).

    `process` are the bytes that the process holds now, if another than this one is meant. If not `thorough`, other ways
    are looked at only where the plain one does not fit.

    Raises RequestError for a request that cannot fit, with what would.
    """
    check_speed(request.speed, runtime.backend)
    process = psutil.Process(os.getpid()).memory_info().rss if process is None else process
    room = min(process + runtime.room(process), runtime.max_memory or sys.maxsize)
    speeds = Speeds(networks=calibrate(runtime, runtime.dtype), autoencoder=calibrate(runtime, runtime.decode_dtype))
    look = partial(forecast, parts, speeds=speeds, process=process, room=room)
    plain = look(request, plain_way(runtime, request))
    others = list[Forecast]()
    enough = not thorough and plain.peak.memory <= room
    for way in () if enough else other_ways(plain.way, request):
        one = look(request, way)
        if one.peak.memory < min(known.peak.memory for known in (plain, *others)):
            others.append(one)
    fitting = [one for one in (plain, *others) if one.peak.memory <= room]
    if not fitting:
        least = min((plain, *others), key=lambda one: one.peak.memory)
        advice = "allow more" if room == runtime.max_memory else "close other programs"
        raise RequestError(_refusal(parts, request, least, room, look, advice))
    chosen = plain if plain in fitting else min(fitting, key=lambda one: one.seconds)
    return Plan(request=request, chosen=chosen, plain=plain, others=tuple(others), room=room)


def _refusal(parts: Parts, request: Request, least: Forecast, room: int, look: "partial[Forecast]", advice: str) -> str:
    height, width = request.size
    pictures = "a picture" if request.count == 1 else f"{request.count} pictures"
    needs = f"{pictures} of {width}x{height} with {parts.name} needs at least {in_words(least.peak.memory)}"
    multiple = parts.denoiser.space.factor * parts.denoiser.network.spec.multiple
    for share in () if request.from_picture else SMALLER:
        high, wide = (int(side * share) // multiple * multiple for side in request.size)
        if min(high, wide) < multiple:
            continue
        smaller = look(replace(request, size=(high, wide), count=1), replace(least.way, group=1))
        if smaller.peak.memory <= room:
            return f"To make {needs}, but {in_words(room)} can be had; one of {wide}x{high} would fit."
    return f"To make {needs}, but {in_words(room)} can be had; {advice}, or take a smaller model."


def in_words(size: int) -> str:
    """Bytes for people."""
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.2f} GiB"
