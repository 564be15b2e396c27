"""Watching a picture grow: a file that `generate` and `edit` replace while they sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fictile.cli.options import OUTPUT
from fictile.cli.terminal import say
from fictile.errors import FictileError, RequestError

if TYPE_CHECKING:
    from fictile.model import Model

Preview = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Show there what the picture looks like so far; the file is replaced as it grows, and stays.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
PreviewEvery = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="At the first step and every N-th after it; 1 if left out.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
PreviewVae = Annotated[
    Path | None,
    typer.Option(
        metavar="VAE",
        help="A tiny autoencoder of the model's space to show it with; by the colours of its latents if left out.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Previews:
    """Where a run shows what it does, how often, and with what; nowhere if `file` is None."""

    file: Path | None
    every: int
    vae: Path | None

    @classmethod
    def asked(
        cls,
        file: Path | None,
        every: int | None,
        vae: Path | None,
        *,
        results: Sequence[Path],
        given: Sequence[Path | None] = (),
    ) -> "Previews":
        """What the options say. `results` and `given` are files that the run writes and reads.

        Raises RequestError where they make no sense, or name one of these files.
        """
        if file is None and (every is not None or vae is not None):
            option = "--preview-vae" if every is None else "--preview-every"
            raise RequestError(f"{option} says how a preview is made, but none was asked for; add --preview FILE.")
        if every is not None and every < 1:
            raise RequestError(f"A preview at every {every} steps was asked for; give a whole number from 1 on.")
        if file is not None:
            for other in (*results, *(one for one in given if one is not None)):
                if _same(file, other):
                    what = "the result" if other in results else "what the run reads"
                    raise RequestError(f"The preview {file} would replace {other}, {what}; give it a name of its own.")
        return cls(file=file, every=every or 1, vae=vae)

    def check(self) -> None:
        """Raises RequestError if the file cannot be written."""
        from fictile.picture import check_writable

        if self.file is not None:
            check_writable(self.file)

    def callback(self, model: "Model", shown: Callable[..., None]) -> Callable[[int, Any, Any, Any], None]:
        """A sampler's callback that calls `shown`, and writes the previews. One that fails is said, and is the last.

        Raises SpaceMismatch for an autoencoder of another space, RequestError for what is none.
        """
        file = self.file
        if file is None:
            return shown
        from fictile.matching import open_preview

        preview = open_preview(model.codec, self.vae, name=model.name)
        say(f"{file}  shows what it looks like so far, {preview.how}")
        failed: list[FictileError] = []

        def evaluated(index: int, level: Any, x: Any, x0: Any) -> None:
            shown(index, level, x, x0)
            if index % self.every or failed:
                return
            try:
                preview(x0).save(file, quick=True)
            except FictileError as error:
                failed.append(error)
                say(f"Note: there are no more previews: {error}", style="yellow")

        return evaluated


def _same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, there already or not."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
