"""`fictile roundtrip`: what the trip through the latent space costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fictile.cli import options
from fictile.cli.destination import destinations, slug
from fictile.cli.terminal import Work, say, write_columns, write_json
from fictile.errors import RequestError

if TYPE_CHECKING:
    from fictile.fidelity import Report
    from fictile.picture import Picture


def roundtrip(
    pictures: Annotated[
        list[Path], typer.Argument(help="The pictures to measure, or folders of them.", show_default=False)
    ],
    *,
    vae: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VAE",
            help="An autoencoder: a file, a folder, or emoji for the packaged one. Give several to compare them.",
            rich_help_panel=options.MODEL,
            show_default=False,
        ),
    ] = None,
    model: options.Model = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="auto (float32), float32, bf16 or fp16. Give several to compare them.",
            rich_help_panel=options.MODEL,
            show_default=False,
        ),
    ] = None,
    tiling: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="In bands, exactly and in little memory: auto (where it must be), on or off. Give several to compare.",
            rich_help_panel=options.MODEL,
            show_default=False,
        ),
    ] = None,
    device: options.Device = "auto",
    max_memory: options.MaxMemory = None,
    passes: Annotated[int, typer.Option(min=1, metavar="N", help="How often in a row each picture goes through.")] = 1,
    forecast: Annotated[
        bool,
        typer.Option("--forecast/--no-forecast", help="Foretell the passes up to the fifth; they are made for it."),
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page that shows and explains everything.",
            rich_help_panel=options.OUTPUT,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Keep what came back: a file for one picture, a folder for several.",
            rich_help_panel=options.OUTPUT,
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Encode pictures, decode them again, and measure what was lost.

    Says what will visibly change, and then the numbers: PSNR in decibels
    (higher is closer), SSIM and MS-SSIM (1 is equal), the perceptual distance
    (0 is equal), the mean colour difference CIEDE2000 (1 is just visible), and
    how much of the finest details was kept.
    """
    with Work.shown() as work:
        work.stage("Starting")
        from fictile import fidelity

        if report:
            fidelity.check_report(report)
        if output:
            one = len(pictures) == 1 and not pictures[0].is_dir() and not any(map(_several, (vae, precision, tiling)))
            _check_output(output, one=one)
        done = list[Path]()

        def told(name: str, through: str, number: int) -> None:
            which = "the passes to come" if number > passes else f"pass {number} of {passes}"
            work.stage(f"{name} through {through}, {which}")

        def keep(name: str, through: str, picture: "Picture") -> None:
            if output is None:
                return
            path = destinations(output, f"{slug(Path(name).stem)}-{slug(through)}", ".png")[0]
            picture.save(path)
            done.append(path)

        measured = fidelity.roundtrip(
            pictures,
            vae or (),
            passes=passes,
            precisions=precision or ("auto",),
            tilings=tiling or ("auto",),
            foretell=forecast,
            device=device,
            max_memory=options.bytes_of(max_memory),
            model=model,
            callback=told,
            result=keep,
        )
        if report:
            work.stage("Writing the report")
            measured.save(report)
    if json:
        write_json(measured.as_json() | {"summary": fidelity.headline(measured)})
    else:
        _write_table(measured)
        typer.echo(f"\n{fidelity.headline(measured)}")
    if not fidelity.has_perceptual():
        say("Note: the perceptual distance was left out; it needs fictile[perceptual].", style="yellow")
    for path in [*done, *([report] if report else [])]:
        say(str(path))


def _several(values: list[str] | None) -> bool:
    return len(values or ()) > 1


def _check_output(output: Path, *, one: bool) -> None:
    from fictile.picture import check_writable

    if not one and not output.is_dir():
        raise RequestError(f"{output} is no folder, and several pictures may come back; give a folder that is there.")
    check_writable(output / "picture.png" if output.is_dir() else output)


def _write_table(report: "Report") -> None:
    names = ("picture", "autoencoder", "pass", "PSNR", "SSIM", "MS-SSIM", "perceptual", "colour", "95%", "fine", "bits")
    rows = [
        (
            trip.picture,
            trip.vae,
            number,
            f"{one.psnr:.2f}",
            _or_dash(one.ssim, ".4f"),
            _or_dash(one.ms_ssim, ".4f"),
            _or_dash(one.perceptual, ".3f"),
            f"{one.colour.delta_e:.2f}",
            f"{one.colour.delta_e_95:.2f}",
            _or_dash(one.detail[0].kept, "z.0%"),
            f"{trip.bits_per_pixel:.2f}",
        )
        for trip in report.trips
        for number, one in enumerate(trip.passes, start=1)
    ]
    write_columns(names, rows, title="Through the latent space and back")


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
