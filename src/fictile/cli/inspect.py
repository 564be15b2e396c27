"""`fictile inspect`: what a file is."""

import json as json_format
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, write_json, write_table


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A picture, a latent, a weight file or a model's folder.", show_default=False)
    ],
    *,
    json: options.Json = False,
) -> None:
    """Say what a file is and what it says of itself.

    Kind, size, content hash, parameters, latent space, the spec of a network,
    the recipe of a picture. Of a weight file only the header is read, and
    nothing in it is run.
    """
    with Work.shown() as work:
        work.stage("Reading")
        from fictile.checkpoint import inspect_file

        found = asdict(inspect_file(path))
    found["about"] = {name: _parsed(value) for name, value in found["about"].items()}
    if json:
        write_json(found)
        return
    about = found.pop("about")
    found["size"] = f"{found['size']:,} bytes"
    if found["parameters"] is not None:
        found["parameters"] = f"{found['parameters']:,}"
    write_table({name: value for name, value in found.items() if value is not None})
    if about:
        write_table(dict(_flat(about)), title="\nWhat it says of itself")


def _parsed(value: object) -> object:
    """What a text chunk holds if it is a JSON object, such as a recipe; anything else as it is."""
    if not (isinstance(value, str) and value.startswith("{")):
        return value
    try:
        return json_format.loads(value)
    except (ValueError, RecursionError):
        return value


def _flat(about: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested objects as one level of dotted names: spec.widths, spec.layers."""
    for name, value in about.items():
        if isinstance(value, Mapping):
            yield from _flat(cast(Mapping[str, Any], value), f"{prefix}{name}.")
        else:
            yield prefix + name, value
