"""`fictile replay`: a picture's recipe, run again."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import SUFFIX, destinations
from fictile.cli.keeping import kept_until_saved, save_all
from fictile.cli.terminal import Work, say
from fictile.errors import RequestError


def replay(
    picture: Annotated[
        Path, typer.Argument(help="A picture, or a latent with its recipe, that Fictile made.", show_default=False)
    ],
    *,
    start: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="PICTURE",
            help="The picture or latent it was made from, if it was; of a mix twice, for both.",
            show_default=False,
        ),
    ] = None,
    model: options.Model = None,
    vae: options.Vae = None,
    backend: options.Backend = "auto",
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Make a picture again from the recipe inside it.

    The same bytes come out on the same machine with the same versions; what
    is different now is said. The model must be the one that made the picture;
    [cyan]--backend[/cyan] takes the place of the one that ran it then.
    """
    began = time.perf_counter()
    path = destinations(output, f"{picture.name.removesuffix(SUFFIX).removesuffix(picture.suffix)}-replay", ".png")[0]
    given = tuple(start or ())
    if len(given) > 2:
        raise RequestError(f"--from was given {len(given)} times; give it once, or twice for what was mixed.")
    init = given[0] if len(given) == 1 else given or None
    with kept_until_saved([path], model, vae=vae, start=given[0] if given else None) as sampled, Work.shown() as work:
        work.stage("Starting")
        from fictile.cli.report import report
        from fictile.loading import load
        from fictile.picture import check_writable
        from fictile.recipe import Recipe

        check_writable(path)
        recipe = Recipe.read(picture)
        work.stage("Loading the model")
        runtime = (recipe if backend == "auto" else replace(recipe, backend=backend)).runtime
        maker = load(model, vae=vae, force=recipe.vae_forced, runtime=runtime)
        denoising = work.denoising(recipe.steps, recipe.strength)
        again = maker.replay(recipe, init=init, callback=denoising, sampled=sampled)
        save_all([again], [path])
    report([(again, path)], time.perf_counter() - began, json)
    for difference in recipe.differences(again.recipe):
        say(f"Note: {difference}", style="yellow")
