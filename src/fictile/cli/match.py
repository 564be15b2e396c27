"""`fictile match`: whether an autoencoder belongs to a model."""

from dataclasses import asdict
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_columns, write_json, write_table

COLOURS = {"belongs": "green", "foreign": "red", "cannot tell": "yellow"}


def match(
    model: Annotated[
        str, typer.Argument(help="A model: a file, a folder, or hub:owner/name.", metavar="MODEL", show_default=False)
    ],
    vae: Annotated[
        str,
        typer.Argument(help="An autoencoder: a file, a folder, or a model's own.", metavar="VAE", show_default=False),
    ],
    *,
    json: options.Json = False,
) -> None:
    """Say whether an autoencoder belongs to a model, and why.

    Names count for nothing. What both files say is read first, then looked at:
    what the autoencoder makes of six pictures, beside that of the model and
    beside what is published of its space; and, of the packaged model, what the
    denoiser makes of it. The exit code is 0 when they belong together, 1 when
    they do not or nobody can tell, 2 when a file cannot be read.
    """
    with Work.shown() as work:
        work.stage("Reading")
        from fictile.matching import match as compare
        from fictile.matching import open_denoiser, open_vae

        denoiser, autoencoder = open_denoiser(model), open_vae(vae)
        work.stage("Comparing")
        verdict = compare(denoiser, autoencoder)
    if json:
        write_json({**asdict(verdict), "sentence": verdict.sentence(), "remedy": verdict.remedy()})
    else:
        write_table(
            {
                "verdict": f"{verdict.kind}, with confidence {verdict.confidence:.2f}",
                "model": f"{verdict.denoiser}, in {verdict.denoiser_space or 'a space that is not known'}",
                "autoencoder": f"{verdict.vae}" + (f", in {verdict.vae_space}" if verdict.vae_space else ""),
                "remedy": verdict.remedy(),
            }
        )
        write_columns(
            ("looked at", "weight", "says"),
            [(found.looked_at, f"{found.weight:.2f}", found.says) for found in verdict.evidence],
            title="\nEvidence",
        )
    say(verdict.sentence(), style=COLOURS[verdict.kind])
    if verdict.kind != "belongs":
        raise typer.Exit(1)
