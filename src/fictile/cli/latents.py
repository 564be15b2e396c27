"""`fictile encode` and `fictile decode`: pictures to latents and back."""

from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import destinations
from fictile.cli.terminal import Work, say, write_json
from fictile.errors import RequestError

SUFFIX = ".latent.safetensors"


def encode(
    picture: Annotated[Path, typer.Argument(help="The picture to encode.", show_default=False)],
    *,
    model: options.Model = None,
    vae: options.VaeAlone = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Turn a picture into a latent file.

    The file says which latent space it lives in, so that no other decoder is
    used for it by mistake.
    """
    path = destinations(output, picture.stem, SUFFIX)[0]
    if not path.name.endswith(SUFFIX):
        raise RequestError(f"{path} is no name for a latent; end it in {SUFFIX}.")
    with Work.shown() as work:
        work.stage("Starting")
        from fictile.files import check_folder
        from fictile.picture import load_picture

        check_folder(path)
        pixels = load_picture(picture)
        work.stage("Loading the model")
        codec = options.codec(model, vae, force=force, device=device, precision=precision)
        work.stage("Encoding")
        latent = codec.encode(pixels)
    latent.save(path)
    shape = list(latent.data.shape)
    if json:
        write_json(
            {"path": str(path), "space": latent.space.id, "shape": shape, "size": latent.size, "vae": latent.vae}
        )
    say(f"{path}  {' x '.join(map(str, shape[1:]))} in {latent.space.id}")


def decode(
    latent: Annotated[Path, typer.Argument(help="A file that [cyan]fictile encode[/cyan] wrote.", show_default=False)],
    *,
    model: options.Model = None,
    vae: options.VaeAlone = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Turn a latent file back into a picture.

    Only the autoencoder of the latent's own space can do that; any other is
    refused.
    """
    path = destinations(output, latent.name.removesuffix(SUFFIX), ".png")[0]
    with Work.shown() as work:
        work.stage("Starting")
        from fictile.latent import Latent
        from fictile.picture import check_writable

        check_writable(path)
        content = Latent.load(latent)
        work.stage("Loading the model")
        codec = options.codec(model, vae, force=force, device=device, precision=precision)
        work.stage("Decoding")
        picture = codec.decode(content)
    picture.save(path)
    if json:
        write_json({"path": str(path), "space": content.space.id, "width": picture.width, "height": picture.height})
    say(f"{path}  {picture.width}x{picture.height}")
