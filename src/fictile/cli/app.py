"""The table of all commands, and the door that every failure leaves by."""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from fictile import __version__
from fictile.cli import train
from fictile.cli.convert import convert
from fictile.cli.doctor import doctor
from fictile.cli.edit import edit
from fictile.cli.examples import examples
from fictile.cli.generate import generate
from fictile.cli.inspect import inspect
from fictile.cli.latents import decode, encode
from fictile.cli.match import match
from fictile.cli.mismatch import mismatch
from fictile.cli.mix import mix
from fictile.cli.plan import plan
from fictile.cli.replay import replay
from fictile.cli.roundtrip import roundtrip
from fictile.cli.strip import strip
from fictile.cli.terminal import fail, say
from fictile.cli.verify import verify
from fictile.errors import FictileError, RequestError

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130  # exit codes; 2 is also Typer's own for wrong usage


app = typer.Typer(
    name="fictile",
    epilog=examples('fictile generate "a fox" -o fox.png', "fictile replay fox.png", "fictile generate --help"),
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command(
    epilog=examples(
        'fictile generate "a fox wearing a crown" -n 4 --seed 7 -o fox.png',
        'fictile generate "a red house" --steps 30 --sampler dpmpp_2m --schedule karras',
        'fictile generate "an oil painting" --from photo.jpg --strength 0.6',
    )
)(generate)
app.command(
    epilog=examples(
        'fictile edit photo.jpg "a red door" --box 40,30,128x96 -o door.png',
        'fictile edit photo.jpg "an oil painting" --strength 0.6',
        'fictile edit photo.png "a beach" --outpaint 0,0,128,0 -o wide.png',
    )
)(edit)
app.command(epilog=examples("fictile verify door.png --against photo.jpg"))(verify)
app.command(epilog=examples("fictile replay fox.png", "fictile replay fox.png -o again.png"))(replay)
app.command(epilog=examples("fictile encode photo.jpg", "fictile encode photo.jpg -o clay.latent.safetensors"))(encode)
app.command(
    epilog=examples(
        "fictile decode photo.latent.safetensors -o photo.png",
        "fictile decode --last",
        "fictile decode comfy.latent --space sdxl -m model.safetensors",
    )
)(decode)
app.command(
    epilog=examples(
        "fictile mix fox.png cat.png -o mix.png",
        'fictile mix fox.png cat.png --weight 0.4 --refine 0.5 --prompt "a fox" -o mix.png',
        "fictile mix photo.jpg painting.jpg --how transfer -m model.safetensors",
        "fictile mix day.png night.png --how composite --mask sky.png --feather 64",
    )
)(mix)
app.command(
    epilog=examples(
        "fictile roundtrip photo.jpg -o back.png",
        "fictile roundtrip photos/ --vae a.safetensors --vae b.safetensors --passes 5 --report report.html",
    )
)(roundtrip)
app.command(epilog=examples("fictile mismatch photo.jpg --vae mine.safetensors --vae other.safetensors -o wrong.png"))(
    mismatch
)
app.command(epilog=examples("fictile strip photo.jpg", "fictile strip fox.png -o bare.png"))(strip)
app.command(epilog=examples("fictile inspect fox.png", "fictile inspect model.safetensors --json"))(inspect)
app.command(
    epilog=examples(
        "fictile convert model.safetensors folder",
        "fictile convert folder model.safetensors --dtype fp16",
        "fictile convert model.safetensors better.safetensors --vae vae.safetensors",
        "fictile convert vae.pt vae.safetensors",
    )
)(convert)
app.command(epilog=examples("fictile doctor", "fictile doctor --recipe fox.png"))(doctor)
app.command(
    epilog=examples(
        'fictile plan "a fox" -n 4 --size 512',
        'fictile plan "an oil painting" -m model.safetensors --size 1024 --max-memory 6GiB',
    )
)(plan)
app.command(epilog=examples("fictile match model.safetensors vae.safetensors", "fictile match vae.pt"))(match)
app.add_typer(train.app, name="train")


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"fictile {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def before_any_command(
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", metavar="", help="When something fails, show where.")] = False,
) -> None:
    """Latent diffusion on the machine you have: make pictures, look into latents,
    measure what they cost.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line, by default that of this process, and leave with its exit code.

    0 is done, 1 the work failed, 2 the request was wrong and nothing was written, 130 interrupted by Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=arguments, prog_name="fictile")
    except SystemExit as finished:
        if finished.code == INTERRUPTED:
            say("Stopped; nothing is left half written.")
        raise
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        known = isinstance(error, FictileError)
        fail(str(error) if known else f"{type(error).__name__}: {error}; `fictile --debug ...` shows where it happened")
        sys.exit(WRONG_REQUEST if isinstance(error, RequestError) else FAILED)
