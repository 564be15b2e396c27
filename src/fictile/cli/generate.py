"""`fictile generate`: a prompt becomes pictures."""

import time
from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options, previews
from fictile.cli.destination import SUFFIX, destinations, slug
from fictile.cli.fitting import fitted
from fictile.cli.keeping import kept_until_saved, save_all
from fictile.cli.terminal import Work, say

START = "Starting from a picture"  # a panel of the help page


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.", show_default=False)],
    *,
    negative: options.Negative = "",
    size: options.Size = None,
    count: options.Count = 1,
    weighting: options.Weighting = "a1111",
    clip_skip: options.ClipSkip = 1,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            metavar="",
            help="Say how the prompt is read: tokens, chunks, weights.",
            rich_help_panel=options.PROMPT,
        ),
    ] = False,
    seed: options.Seed = None,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    guidance_interval: options.GuidanceInterval = None,
    sampler: options.Sampler = None,
    schedule: options.Schedule = None,
    speed: options.Speed = "exact",
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PICTURE",
            help="Change this picture, or this latent, instead of starting from noise.",
            rich_help_panel=START,
            show_default=False,
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How much of it may change: near 0 hardly, 1 entirely; left out, 0.75 (0.3 for a refiner).",
            rich_help_panel=START,
            show_default=False,
        ),
    ] = None,
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
    """Make pictures from a prompt.

    What is left out is the model's own default. A picture carries its recipe, so
    that [cyan]fictile replay[/cyan] can make it again. Four pictures named [cyan]-o fox.png[/cyan]
    become fox-1.png to fox-4.png. Without [cyan]-o[/cyan] the name is made of the prompt, and
    no file is replaced. What is sampled is on the disk before it is decoded: if
    that fails, [cyan]fictile decode --last[/cyan] makes the picture.
    """
    began = time.perf_counter()
    paths = destinations(output, slug(prompt), ".png", count, beside=SUFFIX if keep_latent else None)
    watched = previews.Previews.asked(preview, preview_every, preview_vae, results=paths, given=[start])
    interval = options.interval_of(guidance_interval)
    sides = options.height_and_width(size) if size is not None else None
    with kept_until_saved(paths, model, vae=vae) as sampled, Work.shown() as work:
        work.stage("Starting")
        from fictile.cli.report import report
        from fictile.engine import choose_runtime
        from fictile.loading import load
        from fictile.made import init_size, open_init
        from fictile.picture import check_writable

        check_writable(paths[0])
        watched.check()
        init = open_init(start) if start else None
        work.stage("Planning")
        runtime = choose_runtime(device, precision, backend, max_memory=options.bytes_of(max_memory))
        plan = fitted(
            model,
            vae,
            runtime,
            prompt,
            verbose=verbose,
            negative=negative,
            size=sides or (init_size(init) if init else None),
            count=count,
            steps=steps,
            guidance=guidance,
            interval=interval,
            sampler=sampler,
            schedule=schedule,
            from_picture=init is not None,
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
        changed = maker.usual_strength() if strength is None else strength
        if verbose:
            for name, text in {"Prompt": prompt, "Negative prompt": negative}.items():
                say(f"{name}: {maker.count_tokens(text, weighting=weighting)}")
        denoising = work.denoising(steps or maker.defaults.steps, 1.0 if init is None else changed)
        pictures = maker.generate(
            prompt,
            negative=negative,
            seed=seed,
            steps=steps,
            guidance=maker.defaults.guided(guidance, interval),
            sampler=sampler,
            schedule=schedule,
            size=sides,
            count=count,
            init=init,
            strength=strength,
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
