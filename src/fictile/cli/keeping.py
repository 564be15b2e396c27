"""What the commands do so that no sampled latent is lost."""

import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fictile.cli.terminal import say

if TYPE_CHECKING:
    from fictile.latent import Latent
    from fictile.made import EditedPicture, GeneratedPicture
    from fictile.recipe import Recipe


@contextmanager
def kept_until_saved(
    pictures: Sequence[Path], model: Path | None, *, vae: Path | None = None, start: Path | None = None
) -> Generator[Callable[["Latent", "Recipe"], None]]:
    """What `generate` takes as `sampled`: it puts the latents on the disk, from where they go once the block ends well.

    When it ends badly, they stay, and the command that makes the pictures of them is said. `start` is the file that the
    run started from.
    """
    kept: list[Path] = []

    def sampled(latent: "Latent", recipe: "Recipe") -> None:
        from fictile.unfinished import Shelf, as_given

        path = Shelf().keep(latent, recipe, model=as_given(model), vae=as_given(vae), pictures=pictures, start=start)
        kept.extend([path] if path else [])

    try:
        yield sampled
    except BaseException:
        for path in kept:
            command = shlex.join(["fictile", "decode", str(path)])
            say(f"What was sampled is kept; this makes the picture of it: {command}")
        raise
    for path in kept:
        path.unlink(missing_ok=True)


def save_all(
    pictures: Sequence["GeneratedPicture | EditedPicture"],
    paths: Sequence[Path],
    *,
    strip: bool = False,
    keep_latent: bool = False,
) -> None:
    """Write the pictures and, beside each, its latent if that is to be kept."""
    from fictile.latent import SUFFIX

    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path, strip=strip)
        if keep_latent:
            picture.save_latent(path.with_suffix(SUFFIX), strip=strip)
