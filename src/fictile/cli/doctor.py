"""`fictile doctor`: why it is slow, and how far a picture is from the reference."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_json, write_table

if TYPE_CHECKING:
    from fictile.engine import Diagnosis


def doctor(
    *,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Make this picture again in the reference mode, and say how far it is from that.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PICTURE", help="With --recipe: the picture that it started from.", show_default=False
        ),
    ] = None,
    model: options.Model = None,
    vae: options.Vae = None,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    json: options.Json = False,
) -> None:
    """Say what this machine can do, what Fictile chose, and what makes it slow.

    It multiplies matrices and draws one picture with the packaged model, a few
    seconds in all. With [cyan]--recipe[/cyan] it says instead how far a picture is from the
    one that the reference mode (float32, one thread, one by one) makes of it.
    """
    if recipe:
        _compare(recipe, start, model, vae, json)
    else:
        _examine(model, vae, (device, precision, backend), json)


def _compare(picture: Path, start: Path | None, model: Path | None, vae: Path | None, json: bool) -> None:
    with Work.shown() as work:
        work.stage("Making the picture again")
        from fictile.fidelity.reference import distance_to_reference

        found = distance_to_reference(picture, model=model, vae=vae, init=start)
    recipe, equal = found.recipe, math.isinf(found.psnr)
    figures = {"largest": found.largest, "psnr": None if equal else found.psnr}
    if json:
        write_json({"precision": recipe.precision, "device": recipe.device, "threads": recipe.threads, **figures})
        return
    rows = {
        "made in": f"{recipe.precision} on {recipe.device}, {recipe.threads} threads",
        "largest difference": f"{found.largest:.0f} of 255",
        "PSNR": "equal to the last bit" if equal else f"{found.psnr:.1f} dB",
    }
    write_table(rows, title="Beside the reference mode")


def _examine(model: Path | None, vae: Path | None, where: tuple[str, str, str], json: bool) -> None:
    with Work.shown() as work:
        work.stage("Measuring")
        from fictile.engine import choose_runtime, examine
        from fictile.fidelity.reference import seconds_for_a_picture
        from fictile.loading import load

        runtime = choose_runtime(*where)
        diagnosis = examine(runtime)
        work.stage("Drawing")
        seconds = seconds_for_a_picture(load(model, vae=vae, runtime=runtime))
    if json:
        write_json({**asdict(diagnosis), "seconds_for_a_picture": seconds})
        return
    write_table(_machine(diagnosis), title="This machine")
    write_table(_choice(diagnosis, seconds), title="\nWhat Fictile does here")
    extras = {name: "installed" if there else _install(name) for name, there in diagnosis.extras.items()}
    write_table(extras, title="\nOptional parts")
    write_table(diagnosis.faster, title="\nWhat may be asked for, and what it gave with the packaged model on a CPU")
    for finding in diagnosis.findings:
        say(f"\n{finding.seen}", style="yellow")
        say(f"  {finding.advice}")
    if not diagnosis.findings:
        say("\nNothing stands in the way.", style="green")


def _machine(found: "Diagnosis") -> dict[str, object]:
    machine = found.machine
    return {
        "processor": f"{machine.cpu}, {machine.cores} cores",
        "instructions": ", ".join(machine.instructions) or "none that help",
        "memory": f"{machine.memory / 2**30:.1f} GiB, {machine.free / 2**30:.1f} GiB free",
        "accelerator": ", ".join(machine.accelerators) or "none",
        "busy": f"{machine.load:.1f} processes wanted to run in the last minute",
        "system": machine.system,
    }


def _choice(found: "Diagnosis", seconds: float) -> dict[str, object]:
    speeds = (f"{speed:.3g} TFLOP/s in {name}" for name, speed in found.speeds.items())
    return {
        "device": found.device,
        "precision": f"{found.precision}: {found.why}",
        "back end": found.backend,
        "convolutions": found.convolutions,
        "threads": found.threads,
        "matrix products": ", ".join(speeds),
        "a picture": f"{seconds:.1f} s with the model's own defaults, once it is loaded",
    }


def _install(extra: str) -> str:
    return f"not there; pip install 'fictile[{extra}]'"
