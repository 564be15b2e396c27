"""`fictile mix`: two pictures become one where they are clay, in the latent space."""

import time
from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import COMFY_SUFFIX, SUFFIX, destinations
from fictile.cli.fitting import fitted
from fictile.cli.keeping import kept_until_saved, save_all
from fictile.cli.terminal import Work, say, write_json
from fictile.errors import RequestError

MIXING, REFINING = "Mixing", "Refining"  # panels of the help page


def mix(
    first: Annotated[Path, typer.Argument(help="A picture or a latent.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another of the same size.", show_default=False)],
    *,
    how: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="blend (keeps contrast), lerp, slerp, transfer (colours of the second), exchange (coarse of the "
            "first, fine of the second), composite (by a mask), place (lay the second onto the first).",
            rich_help_panel=MIXING,
        ),
    ] = "blend",
    weight: Annotated[
        float | None,
        typer.Option(metavar="X", help="The share of the second, 0 to 1.", rich_help_panel=MIXING, show_default=False),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS", help="exchange: what is finer is fine.", rich_help_panel=MIXING, show_default=False
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="composite: the second where it is white.",
            rich_help_panel=MIXING,
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="LEFT,TOP", help="place: where the second goes.", rich_help_panel=MIXING, show_default=False
        ),
    ] = None,
    feather: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS", help="composite, place: how soft the edge is.", rich_help_panel=MIXING, show_default=False
        ),
    ] = None,
    refine: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Denoise the mix by this strength, so that it becomes one picture.",
            rich_help_panel=REFINING,
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="PROMPT", help="What it shows then.", rich_help_panel=REFINING, show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the noise.", rich_help_panel=REFINING, show_default=False)
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="More are finer and slower.", rich_help_panel=REFINING, show_default=False),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="How closely to follow the prompt.", rich_help_panel=REFINING, show_default=False
        ),
    ] = None,
    model: options.Model = None,
    vae: options.Vae = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    max_memory: options.MaxMemory = None,
    space: options.Space = None,
    output: options.Output = None,
    keep_latent: options.KeepLatent = False,
    strip: options.Strip = False,
    json: options.Json = False,
) -> None:
    """Mix two pictures in the latent space.

    The average of two latents comes out grey; blend gives it back its
    contrast. With [cyan]--refine[/cyan] the model makes one picture of the mix. Named
    [cyan]-o mix.latent.safetensors[/cyan], the mix itself is written.
    """
    began = time.perf_counter()
    stem = f"{first.name.partition('.')[0]}-{second.name.partition('.')[0]}"
    path = destinations(output, stem, ".png", beside=SUFFIX if keep_latent else None)[0]
    raw = path.name.endswith((SUFFIX, COMFY_SUFFIX))
    if (refine is None) != (prompt is None):
        raise RequestError("Refining needs both, how much and what it shows; give --refine and --prompt, or neither.")
    if raw and (refine is not None or keep_latent):
        raise RequestError(f"{path} is a latent, and a picture was asked for; name a picture with -o.")
    with kept_until_saved([path], model, vae=vae) as sampled, Work.shown() as work:
        work.stage("Starting")
        from fictile.cli.report import report
        from fictile.engine import choose_runtime
        from fictile.files import check_folder
        from fictile.loading import load
        from fictile.made import init_size, open_init
        from fictile.picture import check_writable

        (check_folder if raw else check_writable)(path)
        place = None if at is None else options.place(at)
        strength, plan = refine or 0.0, None
        runtime = choose_runtime(device, precision, max_memory=options.bytes_of(max_memory))
        if strength:
            work.stage("Planning")
            plan = fitted(
                model,
                vae,
                runtime,
                prompt or "",
                size=init_size(open_init(first, space)),
                steps=steps,
                guidance=guidance,
                from_picture=True,
                strength=strength,
            )
        work.stage("Loading the model")
        maker = load(
            model,
            vae=vae,
            force=force,
            device=device,
            precision=precision,
            max_memory=runtime.max_memory,
            once=plan is not None and plan.once,
        )
        work.stage("Mixing")
        mixed = maker.mix(
            first, second, how, weight=weight, radius=radius, mask=mask, at=place, feather=feather, space=space
        )
        if raw:
            mixed.save(path, strip=strip)
        else:
            pictures = maker.generate(
                prompt or "",
                seed=seed if strength else 0,  # it decides nothing where nothing is refined
                steps=steps,
                guidance=guidance,
                init=mixed,
                strength=strength,
                tiling=plan.tiling if plan else "auto",
                callback=work.denoising(steps or maker.defaults.steps, strength),
                sampled=sampled,
            )
            save_all(pictures, [path], strip=strip, keep_latent=keep_latent)
            if strength:
                report([(pictures[0], path)], time.perf_counter() - began, json)
                return
    latent = mixed.latent
    height, width = latent.picture_size
    if json:
        write_json({"path": str(path), "how": how, "space": latent.space.id, "width": width, "height": height})
    say(f"{path}  {width}x{height}, {how} in {latent.space.id}")
