"""`fictile verify`: what an edit left alone, proven."""

from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_json
from fictile.errors import FictileError


def verify(
    picture: Annotated[Path, typer.Argument(help="What [cyan]fictile edit[/cyan] wrote.", show_default=False)],
    *,
    against: Annotated[
        Path, typer.Option(metavar="PICTURE", help="The picture that was edited, once or several times ago.")
    ],
    json: options.Json = False,
) -> None:
    """Prove that an edit left alone what it was not asked to change.

    Every sample that no mask and no feather reaches must be the input's. In a
    format that loses something, such as JPEG, the difference is reported
    instead. Exit code 1 says that something was changed.
    """
    with Work.shown() as work:
        work.stage("Comparing")
        from fictile.editing import verify as compare
        from fictile.picture import open_source

        output = open_source(picture)
        verdict = compare(output, open_source(against))
        losses = output.losses(picture)
    if json:
        write_json({"path": str(picture), "against": str(against), **verdict.figures(), "lossy": bool(losses)})
    say(f"{picture}: {verdict}")
    if not verdict.intact and not losses:
        raise FictileError(f"{picture} is not what the edit left: something changed outside the mask")
