"""`fictile inspect`: what a file is."""

import json as json_format
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_columns, write_json, write_table

if TYPE_CHECKING:
    from fictile.checkpoint import Identity, Inspection

NAMED = 5  # how many tensors are listed
LONGEST = 300  # characters of one value
WHERE_THERE_IS_ONE = ("identity", "problem", "space_told_by", "decides", "vae_origin")  # keys of the document


def inspect(
    path: Annotated[
        str,
        typer.Argument(
            help="A picture, a latent, a weight file, a model's folder, or hub:owner/name.", show_default=False
        ),
    ],
    *,
    json: options.Json = False,
) -> None:
    """Say what a file is and what it says of itself.

    Kind, size, content hash, parameters, latent space, the spec of a network,
    the recipe of a picture. Of weights: the family and variant of the model,
    what it predicts and how that is known, which networks are there and which
    are missing. Of an autoencoder: its latent space and who says so, else the
    spaces that it may have. No network is loaded, and nothing in a file is run.

    The exit code is 2 for what cannot be read at all, such as a truncated file
    or a pickle that would run something.
    """
    with Work.shown() as work:
        work.stage("Reading")
        from fictile.checkpoint import inspect_file

        found = inspect_file(path)
    about = {name: _parsed(value) for name, value in found.about.items()}
    if json:
        write_json(_without_empty({**asdict(found), "about": about}))
        return
    rows = _what(found) | (_model_rows(found.identity) if found.identity else {}) | _numbers(found)
    write_table({name: value for name, value in rows.items() if value not in (None, "")})
    if found.networks:
        write_columns(
            ("", "parameters", "type", "names"),
            [(network.label, f"{network.parameters:,}", network.dtype, network.naming) for network in found.networks],
            title="\nNetworks",
        )
    if found.identity:
        for name in ("fictile", "format"):  # the same as above, as programs read it; and what every file of torch says
            about.pop(name, None)
    if about:
        write_table({name: _short(value) for name, value in _flat(about)}, title="\nWhat it says of itself")
    for note in found.identity.notes if found.identity else ():
        say(f"Note: {note}", style="yellow")
    for problem in found.identity.problems if found.identity else ():
        say(f"Problem: {problem}", style="red")


def _what(found: "Inspection") -> dict[str, object]:
    return {"path": found.path, "kind": found.kind, "description": found.description}


def _numbers(found: "Inspection") -> dict[str, object]:
    return {
        "width": found.width,
        "height": found.height,
        "parameters": None if found.parameters is None else f"{found.parameters:,}",
        "dtype": found.dtype,
        "space": _space(found),
        "look closer": found.decides,
        "autoencoder": found.vae_origin,
        "size": f"{found.size:,} bytes" + (f" ({found.size / 1e9:.2f} GB)" if found.size >= 1e8 else ""),
        "sha256": found.sha256,
    }


def _space(found: "Inspection") -> str | None:
    if found.space:
        return f"{found.space} (told by {found.space_told_by})" if found.space_told_by else found.space
    if found.candidates:
        return f"not said; by its tensors {' or '.join(found.candidates)}"
    return "not said, and no published one has these tensors" if found.kind == "autoencoder" else None


def _model_rows(identity: "Identity") -> dict[str, object]:
    few = ", ".join(identity.unexpected[:NAMED]) + (", ..." if len(identity.unexpected) > NAMED else "")
    return {
        "format": identity.format,
        "family": identity.family,
        "variant": identity.variant,
        "predicts": identity.prediction and f"{identity.prediction}: {identity.prediction_reason}",
        "zero SNR": "yes, at the last training time" if identity.zero_terminal_snr else None,
        "made for": identity.resolution and f"{identity.resolution}x{identity.resolution} pixels",
        "missing": ", ".join(identity.missing),
        "averaged copy": (identity.ema and f"of the U-Net, in {identity.ema:,} tensors") or None,
        "unexpected": (identity.unexpected and f"{len(identity.unexpected):,} tensors: {few}") or None,
    }


def _without_empty(found: dict[str, Any]) -> dict[str, Any]:
    """For JSON: what need not be there only where it is."""
    return {name: value for name, value in found.items() if value is not None or name not in WHERE_THERE_IS_ONE}


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


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"
