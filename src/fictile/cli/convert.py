"""`fictile convert`: a model or an autoencoder as a single file, or as a folder of diffusers."""

from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_json
from fictile.errors import RequestError

DTYPES = ("keep", "float32", "fp16", "bf16")


def convert(
    model: Annotated[
        str,
        typer.Argument(
            help="A model or an autoencoder: a file, a folder of diffusers, or hub:owner/name.",
            metavar="MODEL",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Argument(help="A name in .safetensors, or a new folder.", metavar="OUT", show_default=False)
    ],
    *,
    dtype: Annotated[
        str, typer.Option(metavar="NAME", help=f"{', '.join(DTYPES)}: what numbers are stored as.", show_default=True)
    ] = "keep",
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which weights of a folder, such as fp16.", show_default=False),
    ] = None,
    ema: Annotated[
        bool, typer.Option("--ema", metavar="", help="Take the averaged copy of the U-Net, where there is one.")
    ] = False,
    names: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of an autoencoder in a file, whose names its tensors get: released or diffusers.",
        ),
    ] = "released",
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Of a single file; its name if left out.", show_default=False),
    ] = None,
    vae: options.Vae = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Of an autoencoder that does not say it: sd1, sdxl, sd3, flux1 ...",
            rich_help_panel=options.MODEL,
            show_default=False,
        ),
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Turn a single file into a folder of diffusers, or a folder into a single file.

    A model or an autoencoder alone. Tensors keep their bytes unless another
    type is asked for. A single file says what it is and its latent space. With
    --vae, another autoencoder takes the place of the model's own, after the
    look at both that `generate` takes: a foreign one is refused.
    """
    if dtype not in DTYPES:
        raise RequestError(f"The type {dtype!r} is not known; choose one of {', '.join(DTYPES)}.")
    with Work.shown() as work:
        work.stage("Reading")
        import torch

        from fictile.checkpoint import convert as write
        from fictile.matching import open_to_convert

        types = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        checkpoint = open_to_convert(model, vae, space=space, force=force, variant=variant, ema=ema)
        work.stage("Writing")
        made = write(checkpoint, out, dtype=types.get(dtype), title=title, names=names)
    size = sum(path.stat().st_size for path in made.files)
    if json:
        write_json(
            {
                "path": str(made.path),
                "files": [str(path) for path in made.files],
                "size": size,
                "title": checkpoint.identity.title,
                "space": checkpoint.space.id if checkpoint.space else None,
                "vae": checkpoint.vae_origin,
                "vae_forced": checkpoint.vae_forced,
                "notes": made.notes,
            }
        )
    say(f"{made.path}  {checkpoint.identity.title}, {size:,} bytes")
    for note in made.notes:
        say(f"Note: {note}", style="yellow")
