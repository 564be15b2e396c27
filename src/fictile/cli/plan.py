"""`fictile plan`: what a request would take, before it runs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_columns, write_json, write_table

if TYPE_CHECKING:
    from fictile.planning import Forecast, Plan

PLAIN = "all at once and as a whole"


def plan(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")] = "",
    *,
    negative: options.Negative = "",
    size: options.Size = None,
    count: options.Count = 1,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    guidance_interval: options.GuidanceInterval = None,
    sampler: options.Sampler = None,
    schedule: options.Schedule = None,
    speed: options.Speed = "exact",
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="PICTURE", help="Start from this picture, as generate.", show_default=False),
    ] = None,
    strength: Annotated[
        float | None, typer.Option(metavar="X", help="How much of it may change.", show_default=False)
    ] = None,
    model: options.Model = None,
    vae: options.Vae = None,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    tiling: options.Tiling = "auto",
    max_memory: options.MaxMemory = None,
    json: options.Json = False,
) -> None:
    """Say what a request would take before it runs: memory, time, and how.

    Takes the options of [cyan]fictile generate[/cyan]. It reads the headers of the model and
    counts tensors and operations; no weight is loaded. The first time, it measures
    for a few seconds how fast this machine computes.
    """
    limit = options.bytes_of(max_memory)
    interval = options.interval_of(guidance_interval)
    sides = options.height_and_width(size) if size is not None else None
    with Work.shown() as work:
        work.stage("Counting")
        from fictile.engine import choose_runtime
        from fictile.made import init_size, open_init
        from fictile.planning import make_plan, opened_outline, request_for

        given = open_init(start) if start else None
        runtime = choose_runtime(device, precision, backend, max_memory=limit)
        parts = opened_outline(model, vae)
        request = request_for(
            parts,
            prompt,
            negative=negative,
            size=sides or (init_size(given) if given else None),
            count=count,
            steps=steps,
            guidance=guidance,
            interval=interval,
            sampler=sampler,
            schedule=schedule,
            from_picture=given is not None,
            strength=strength,
            tiling=tiling,
            speed=speed,
        )
        made = make_plan(parts, request, runtime)
    if json:
        write_json(_document(made))
        return
    _show(made, parts.name)


def _show(made: "Plan", name: str) -> None:
    from fictile.planning import in_words

    request, chosen = made.request, made.chosen
    height, width = request.size
    pictures = "A picture" if request.count == 1 else f"{request.count} pictures"
    way = chosen.way
    threads = "1 thread" if way.runtime.threads == 1 else f"{way.runtime.threads} threads"
    rows = {
        "runs": f"{way.runtime.precision} on {way.runtime.device}, {threads}; {_how(made)}",
        "peak": f"{in_words(chosen.peak.memory)}; {in_words(made.room)} can be had",
        "weights": f"{in_words(chosen.weights)} of it, once loaded",
        "time": _time(chosen.seconds),
    }
    write_table(rows, title=f"{pictures} of {width}x{height} with {name}")
    peak = chosen.peak
    phases = [
        (phase.name, in_words(phase.memory), _time(phase.seconds), "the peak" if phase is peak else "")
        for phase in chosen.phases
    ]
    write_columns(("", "memory", "time", ""), phases, title="\nIn this order")
    others = [one for one in (made.plain, *made.others) if one is not chosen]
    if others:
        lines = [
            (_words(made, one), in_words(one.peak.memory), _time(one.seconds), _fits(one, made.room)) for one in others
        ]
        write_columns(("", "memory", "time", ""), lines, title="\nOther ways to the same picture")

    if made.reservation:
        say(made.reservation)


def _how(made: "Plan") -> str:
    return f"to fit: {', '.join(made.differences)}" if made.differences else PLAIN


def _words(made: "Plan", one: "Forecast") -> str:
    return ", ".join(one.way.differences(made.plain.way)) or PLAIN


def _fits(one: "Forecast", room: int) -> str:
    return "" if one.peak.memory <= room else "does not fit"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _document(made: "Plan") -> dict[str, object]:
    """The plan for programs; memory in bytes, time in seconds."""

    def described(one: "Forecast") -> dict[str, object]:
        return {
            "way": _words(made, one),
            "group": one.way.group,
            "tiling": "on" if one.way.tiling else "off",
            "once": one.way.once,
            "precision": one.way.runtime.precision,
            "peak": one.peak.memory,
            "peak_phase": one.peak.name,
            "seconds": round(one.seconds, 3),
            "weights": one.weights,
            "phases": [asdict(phase) for phase in one.phases],
        }

    others = [described(one) for one in (made.plain, *made.others) if one is not made.chosen]
    return {
        "size": made.request.size,
        "room": made.room,
        "reservation": made.reservation,
        "chosen": described(made.chosen),
        "others": others,
    }
