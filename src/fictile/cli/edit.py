"""`fictile edit`: words change a picture, or a part of it."""

import time
from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options, previews
from fictile.cli.destination import SUFFIX, destinations
from fictile.cli.fitting import fitted
from fictile.cli.keeping import kept_until_saved, save_all
from fictile.cli.terminal import Work, say

WHERE, HOW = "Where it may change", "How it changes"  # panels of the help page


def edit(
    picture: Annotated[Path, typer.Argument(help="The picture to edit.", show_default=False)],
    prompt: Annotated[str, typer.Argument(help="What it shows then.", show_default=False)],
    *,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="White may change, black may not, grey a little; of the picture's size.",
            rich_help_panel=WHERE,
            show_default=False,
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,WxH", help="A box: left, top, width, height.", rich_help_panel=WHERE, show_default=False
        ),
    ] = None,
    colour: Annotated[
        str | None,
        typer.Option(metavar="#RRGGBB", help="What has this colour.", rich_help_panel=WHERE, show_default=False),
    ] = None,
    tolerance: Annotated[
        int, typer.Option(metavar="N", help="How far from the colour, in steps of 255.", rich_help_panel=WHERE)
    ] = 0,
    transparent: Annotated[
        bool,
        typer.Option(
            "--transparent", metavar="", help="What is transparent; it becomes opaque.", rich_help_panel=WHERE
        ),
    ] = False,
    outpaint: Annotated[
        str | None,
        typer.Option(
            metavar="L,T,R,B",
            help="A larger canvas: pixels more at left, top, right, bottom.",
            rich_help_panel=WHERE,
            show_default=False,
        ),
    ] = None,
    grow: Annotated[float, typer.Option(metavar="N", help="Pixels that the mask grows by.", rich_help_panel=WHERE)] = 0,
    feather: Annotated[
        float, typer.Option(metavar="N", help="Pixels around it over which the edit fades.", rich_help_panel=WHERE)
    ] = 8,
    strength: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="0 hardly, 1 entirely; left out, 1 with a mask and 0.75 without (0.3 for a refiner).",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    only_masked: Annotated[
        bool,
        typer.Option(
            "--only-masked",
            metavar="",
            help="Show the model the mask and its surroundings alone, at its own size.",
            rich_help_panel=HOW,
        ),
    ] = False,
    padding: Annotated[
        int, typer.Option(metavar="N", help="Pixels of surroundings that it sees then.", rich_help_panel=HOW)
    ] = 32,
    match_colours: Annotated[
        bool,
        typer.Option(
            "--match-colours/--keep-colours",
            metavar="",
            help="Take back what the autoencoder does to colours, as seen around the mask.",
            rich_help_panel=HOW,
        ),
    ] = True,
    picture_guidance: Annotated[
        float,
        typer.Option(
            metavar="X", help="How closely an instruct-pix2pix model keeps to the picture.", rich_help_panel=HOW
        ),
    ] = 1.5,
    negative: options.Negative = "",
    count: options.Count = 1,
    weighting: options.Weighting = "a1111",
    clip_skip: options.ClipSkip = 1,
    seed: options.Seed = None,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    guidance_interval: options.GuidanceInterval = None,
    sampler: options.Sampler = None,
    schedule: options.Schedule = None,
    speed: options.Speed = "exact",
    model: options.Model = None,
    vae: options.Vae = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    tiling: options.Tiling = "auto",
    max_memory: options.MaxMemory = None,
    output: options.Output = None,
    keep_latent: options.KeepLatent = False,
    preview: previews.Preview = None,
    preview_every: previews.PreviewEvery = None,
    preview_vae: previews.PreviewVae = None,
    strip: options.Strip = False,
    json: options.Json = False,
) -> None:
    """Change a picture by words: all of it, or what a mask says.

    Masks add up. The edit is painted over the samples of the file itself: size,
    depth, alpha, orientation and colour profile stay, and what neither the
    mask nor its feather reaches stays sample by sample. [cyan]fictile verify[/cyan] proves it.
    """
    began = time.perf_counter()
    paths = destinations(output, f"{picture.stem}-edit", ".png", count, beside=SUFFIX if keep_latent else None)
    edges = options.four_numbers(outpaint, "left, top, right and bottom", "0,0,128,0") if outpaint else (0, 0, 0, 0)
    watched = previews.Previews.asked(preview, preview_every, preview_vae, results=paths, given=[picture, mask])
    interval = options.interval_of(guidance_interval)
    sides = options.four_numbers(box, "a box", "40,30,128x96") if box else None
    with kept_until_saved(paths, model, vae=vae, start=picture) as sampled, Work.shown() as work:
        work.stage("Starting")
        from fictile.cli.report import report
        from fictile.editing import masked
        from fictile.engine import choose_runtime
        from fictile.loading import load
        from fictile.picture import check_writable, open_source

        for path in paths:
            check_writable(path)
        watched.check()
        source = open_source(picture)
        where = masked(
            source, file=mask, box=sides, colour=colour, tolerance=tolerance, transparent=transparent, grow=grow
        )
        work.stage("Planning")
        runtime = choose_runtime(device, precision, backend, max_memory=options.bytes_of(max_memory))
        left, top, right, bottom = edges
        apart = where is not None or any(edges)
        plan = fitted(
            model,
            vae,
            runtime,
            prompt,
            negative=negative,
            # A part that is shown alone is scaled to about the model's own size.
            size=None if only_masked else (source.height + top + bottom, source.width + left + right),
            count=count,
            steps=steps,
            guidance=guidance,
            interval=interval,
            sampler=sampler,
            schedule=schedule,
            from_picture=True,
            masked=apart,
            strength=strength,
            tiling=tiling,
            speed=speed,
        )
        work.stage("Loading the model")
        maker = load(
            model,
            vae=vae,
            force=force,
            device=device,
            precision=precision,
            backend=backend,
            max_memory=runtime.max_memory,
            once=plan is not None and plan.once,
        )
        usual = maker.usual_strength(masked=apart)
        denoising = work.denoising(steps or maker.defaults.steps, usual if strength is None else strength)
        pictures = maker.edit(
            source,
            prompt,
            mask=where,
            strength=strength,
            feather=feather,
            outpaint=edges,
            only_masked=only_masked,
            padding=padding,
            match_colours=match_colours,
            picture_guidance=picture_guidance,
            cover=transparent,
            negative=negative,
            seed=seed,
            steps=steps,
            guidance=maker.defaults.guided(guidance, interval),
            sampler=sampler,
            schedule=schedule,
            count=count,
            weighting=weighting,
            clip_skip=clip_skip,
            tiling=plan.tiling if plan else tiling,
            group=plan.group if plan else None,
            speed=speed,
            callback=watched.callback(maker, denoising),
            sampled=sampled,
        )
        save_all(pictures, paths, strip=strip, keep_latent=keep_latent)
    report(list(zip(pictures, paths, strict=True)), time.perf_counter() - began, json)
    for loss in dict.fromkeys(loss for made, path in zip(pictures, paths, strict=True) for loss in made.losses(path)):
        say(f"Note: {loss}", style="yellow")
