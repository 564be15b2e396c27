"""`fictile mismatch`: what a picture looks like through the wrong autoencoder."""

from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import destinations
from fictile.cli.terminal import Work, say, write_json
from fictile.errors import RequestError


def mismatch(
    picture: Annotated[Path, typer.Argument(help="The picture to encode.", show_default=False)],
    *,
    vae: Annotated[
        list[Path] | None,
        typer.Option(metavar="VAE", help="An autoencoder; give several, the right one first.", show_default=False),
    ] = None,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Show one latent decoded by its own and by foreign autoencoders.

    The first VAE encodes the picture, and each of them decodes that latent, as
    if nobody asked whose it is. What reads latents of another size says so.
    """
    path = destinations(output, f"{picture.stem}-mismatch", ".png")[0]
    if not vae or len(vae) < 2:
        raise RequestError("A mismatch takes two autoencoders or more; give --vae for each, the right one first.")
    with Work.shown() as work:
        work.stage("Starting")
        from fictile import fidelity
        from fictile.loading import load_codec
        from fictile.picture import check_writable, gallery, load_picture

        check_writable(path)
        original = load_picture(picture)
        work.stage("Loading the autoencoders")
        codecs = [(one.stem, load_codec(one, device=device, precision=precision)) for one in vae]
        work.stage("Decoding")
        cells = fidelity.mismatch(original, codecs)
    gallery([(cell.picture, cell.name, cell.line()) for cell in cells]).save(path)
    if json:
        write_json(
            {"path": str(path), "cells": [{"name": one.name, "says": one.says, "psnr": one.psnr} for one in cells]}
        )
    say(f"{path}  {len(cells)} cells")
