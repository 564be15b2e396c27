"""`fictile roundtrip`: what the trip through the latent space costs one picture."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import destinations
from fictile.cli.terminal import Work, say, write_json, write_table


def roundtrip(
    picture: Annotated[Path, typer.Argument(help="The picture to measure.", show_default=False)],
    *,
    model: options.Model = None,
    vae: options.VaeAlone = None,
    force: options.Force = False,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    output: options.Output = None,
    json: options.Json = False,
) -> None:
    """Encode a picture, decode it again, and measure what was lost.

    The reconstruction is written, and its numbers beside it as JSON: PSNR in
    decibels (higher is closer), SSIM (1 is equal), the mean colour difference
    CIEDE2000 (about 1 is just visible), the mean shift of red, green and blue.
    """
    path = destinations(output, f"{picture.stem}-roundtrip", ".png", beside=".json")[0]
    numbers = path.with_suffix(".json")
    with Work.shown() as work:
        work.stage("Starting")
        from fictile import fidelity
        from fictile.files import check_folder, written_whole
        from fictile.picture import check_writable, load_picture

        check_writable(path)
        check_folder(numbers)
        original = load_picture(picture)
        work.stage("Loading the model")
        codec = options.codec(model, vae, force=force, device=device, precision=precision)
        work.stage("Encoding, decoding, measuring")
        trip = fidelity.roundtrip(original, codec)
    report = {"picture": str(picture), "reconstruction": str(path), **trip.figures()}
    trip.reconstruction.save(path)
    with written_whole(numbers) as temporary:
        temporary.write_text(json_format.dumps(report, indent=2) + "\n", encoding="utf-8")
    if json:
        write_json(report)
    else:
        red, green, blue = trip.colour.rgb
        write_table(
            {
                "space": trip.latent.space,
                "PSNR": f"{trip.psnr:.2f} dB",
                "SSIM": f"{trip.ssim:.4f}",
                "colour": f"{trip.colour.delta_e:.2f} CIEDE2000 on average",
                "red, green, blue": f"{red:+.2f}, {green:+.2f}, {blue:+.2f} of 255 on average",
            },
            title=f"{picture} through the latent space and back",
        )
    say(f"{path}, {numbers}")
