"""`fictile strip`: a picture without what tells of its maker."""

from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import destinations
from fictile.cli.terminal import say


def strip(
    picture: Annotated[Path, typer.Argument(help="The picture.", show_default=False)],
    *,
    output: options.Output = None,
) -> None:
    """Write a picture without its prompt, its recipe, and all that cameras and programs noted.

    Its samples, its colour profile and how it is turned stay. Lossless formats
    keep every sample; for the others it is said what the encoder costs.
    """
    path = destinations(output, f"{picture.stem}-stripped", picture.suffix)[0]
    from fictile.picture import open_source

    source = open_source(picture)
    source.save(path, strip=True)
    say(str(path))
    for loss in source.losses(path, strip=True):
        say(f"Note: {loss}", style="yellow")
