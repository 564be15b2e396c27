"""The ways in which one and the same request can be run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fictile.engine import Runtime, precision_name
from fictile.planning.request import Request


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to run a request."""

    runtime: Runtime
    group: int  # pictures that are denoised at once
    tiling: bool  # whether pictures are encoded and decoded in bands of rows
    once: bool = False  # whether each network is let go of after its last use

    def differences(self, plain: "Way") -> tuple[str, ...]:
        """What it does otherwise than the plain way, a phrase each."""
        found = list[str]()
        if self.once and not plain.once:
            found.append("let each network go after its last use")
        if self.group < plain.group:
            found.append(f"denoise {self.group} at a time")
        if self.tiling and not plain.tiling:
            found.append("decode in bands of rows (exact)")
        if self.runtime.dtype != plain.runtime.dtype:
            found.append(f"run the text encoder and the denoiser in {precision_name(self.runtime.dtype)}")
        return tuple(found)


def plain_way(runtime: Runtime, request: Request) -> Way:
    """All pictures at once and as a whole, or one by one where the back end takes them so."""
    return Way(runtime=runtime, group=1 if runtime.one_by_one else request.count, tiling=request.tiling == "on")


def other_ways(plain: Way, request: Request) -> Iterator[Way]:
    """Ways that take less memory and give the same picture, each a little further from the plain one.

    All of them let networks go, which costs no time.
    """
    groups = [group for group in (request.count // 2, request.count // 4, 1) if 0 < group < plain.group]
    tilings = (False, True) if request.tiling == "auto" else (plain.tiling,)
    for group in dict.fromkeys((plain.group, *groups)):
        for tiling in tilings:
            yield replace(plain, group=group, tiling=tiling, once=True)
