"""`fictile encode` and `fictile decode`: pictures to latents and back."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import COMFY_SUFFIX, SUFFIX, destinations
from fictile.cli.terminal import Work, say, write_json
from fictile.errors import RequestError


def encode(
    picture: Annotated[Path, typer.Argument(help="The picture to encode.", show_default=False)],
    *,
    model: options.Model = None,
    vae: options.VaeAlone = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    tiling: options.Tiling = "auto",
    max_memory: options.MaxMemory = None,
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Turn a picture into a latent file.

    The file says which latent space it lives in, so that no other decoder is
    used for it by mistake. A name that ends in [cyan].latent[/cyan] makes a file for ComfyUI.
    """
    path = destinations(output, picture.stem, SUFFIX)[0]
    if not path.name.endswith((SUFFIX, COMFY_SUFFIX)):
        raise RequestError(f"{path} is no name for a latent; end it in {SUFFIX}, or in {COMFY_SUFFIX} for ComfyUI.")
    with Work.shown() as work:
        work.stage("Starting")
        from fictile.autoencoder import write_latent
        from fictile.files import check_folder
        from fictile.picture import load_picture

        check_folder(path)
        pixels = load_picture(picture)
        work.stage("Loading the model")
        codec = options.codec(
            model, vae, force=force, device=device, precision=precision, backend=backend, max_memory=max_memory
        )
        work.stage("Encoding")
        latent = codec.encode(pixels, tiling=tiling)
    write_latent(latent, path)
    shape = list(latent.data.shape)
    if json:
        write_json(
            {"path": str(path), "space": latent.space.id, "shape": shape, "size": latent.size, "vae": latent.vae}
        )
    say(f"{path}  {' x '.join(map(str, shape[1:]))} in {latent.space.id}")


def decode(
    latent: Annotated[
        Path | None,
        typer.Argument(help="A latent of Fictile's, or a [cyan].latent[/cyan] of ComfyUI's.", show_default=False),
    ] = None,
    *,
    last: Annotated[
        bool, typer.Option("--last", metavar="", help="The newest run that was sampled and not decoded.")
    ] = False,
    space: options.Space = None,
    model: options.Model = None,
    vae: options.VaeAlone = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    tiling: options.Tiling = "auto",
    max_memory: options.MaxMemory = None,
    output: options.Output = None,
    strip: options.Strip = False,
    json: options.Json = False,
) -> None:
    """Turn a latent file back into its picture, or several.

    Only the autoencoder of the latent's own space can do that; any other is
    refused. Of a run that was stopped, the pictures come out as they would
    have, under the names that they were to have.
    """
    with Work.shown() as work:
        work.stage("Starting")
        from fictile.loading import load
        from fictile.picture import check_writable
        from fictile.unfinished import Sampled, Shelf

        if (latent is None) != last:
            raise RequestError("Say what to decode: either the path of a latent, or --last.")
        path = latent or Shelf().last()
        found = Sampled.read(path, space)
        if output or not found.pictures:
            paths = destinations(
                output, path.name.removesuffix(SUFFIX).removesuffix(COMFY_SUFFIX), ".png", len(found.latent)
            )
        else:
            paths = found.names()
        check_writable(paths[0])
        work.stage("Loading the model")
        # With no model to say who made it, there is no recipe; a run that names none had the packaged one.
        alone = vae is not None and not (model or found.model or found.pictures)
        as_before = device == precision == backend == "auto" and max_memory is None
        if found.recipe and not alone:
            maker = load(
                model or found.model,
                vae=vae or found.vae,
                force=force or found.recipe.vae_forced,
                device=device,
                precision=precision,
                backend=backend,
                max_memory=options.bytes_of(max_memory),
                runtime=found.recipe.runtime if as_before else None,
            )
            if vae is None and (found.vae or model is None):
                found.check_vae(maker.hashes and maker.hashes.vae, maker.vae_origin)
            work.stage("Decoding")
            made = maker.finish(found.latent, replace(found.recipe, tiling=tiling), init=found.start)
            for picture, place in zip(made, paths, strict=True):
                picture.save(place, strip=strip)
        else:
            codec = options.codec(
                model,
                vae,
                force=force,
                device=device,
                precision=precision,
                backend=backend,
                max_memory=max_memory,
            )
            work.stage("Decoding")
            for one, place in zip(found.latent, paths, strict=True):
                codec.decode(one, tiling=tiling).save(place)
        Shelf().remove(path)
    height, width = found.latent.picture_size
    if json:
        documents = [
            {"path": str(place), "space": found.latent.space.id, "width": width, "height": height} for place in paths
        ]
        write_json(documents[0] if len(documents) == 1 else documents)
    for place in paths:
        say(f"{place}  {width}x{height}")
