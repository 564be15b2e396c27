"""`fictile match`: whether an autoencoder belongs to a model, or which latent space it speaks."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fictile.cli import options
from fictile.cli.terminal import Work, say, write_columns, write_json, write_table

if TYPE_CHECKING:
    from fictile.matching import Evidence, SpaceDecision, Verdict

COLOURS = {"belongs": "green", "foreign": "red", "cannot tell": "yellow"}


def match(
    model: Annotated[
        str,
        typer.Argument(
            help="A model: a file, a folder, or hub:owner/name; or an autoencoder, to ask for its space.",
            metavar="MODEL",
            show_default=False,
        ),
    ],
    vae: Annotated[
        str | None,
        typer.Argument(help="An autoencoder: a file, a folder, or a model's own.", metavar="VAE", show_default=False),
    ] = None,
    *,
    json: options.Json = False,
) -> None:
    """Say whether an autoencoder belongs to a model, and why.

    Names count for nothing. What both files say is read first, then looked at:
    what the autoencoder makes of six pictures, beside that of the model and
    beside what is published of its space; and, of the packaged model, what the
    denoiser makes of it. Of one file alone, the latent space of its autoencoder
    is told.

    The exit code is 0 when they belong together or the space is told, 1 when
    they do not or nobody can tell, 2 when a file cannot be read.
    """
    with Work.shown() as work:
        work.stage("Reading")
        from fictile.matching import decide_space, open_denoiser, open_vae
        from fictile.matching import match as compare

        denoiser = None if vae is None else open_denoiser(model)
        autoencoder = open_vae(model if vae is None else vae)
        work.stage("Comparing")
        if denoiser is None:
            _report_space(decide_space(autoencoder), json)
        else:
            _report_pair(compare(denoiser, autoencoder), json)


def _report_pair(verdict: "Verdict", json: bool) -> None:
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
        _write_evidence(verdict.evidence)
    say(verdict.sentence(), style=COLOURS[verdict.kind])
    if verdict.kind != "belongs":
        raise typer.Exit(1)


def _report_space(decision: "SpaceDecision", json: bool) -> None:
    if json:
        write_json({**asdict(decision), "sentence": decision.sentence()})
    else:
        told = f"{decision.space}, with confidence {decision.confidence:.2f}" if decision.space else "cannot tell"
        rows = {"space": told, "autoencoder": decision.vae}
        write_table(rows | ({"may be": ", ".join(decision.candidates)} if decision.candidates else {}))
        _write_evidence(decision.evidence)
    say(decision.sentence(), style=COLOURS["belongs" if decision.space else "cannot tell"])
    if decision.space is None:
        raise typer.Exit(1)


def _write_evidence(evidence: "Sequence[Evidence]") -> None:
    if evidence:
        write_columns(
            ("looked at", "weight", "says"),
            [(found.looked_at, f"{found.weight:.2f}", found.says) for found in evidence],
            title="\nEvidence",
        )
