"""Where results go when there are several of them, or when the user named no file."""

import re
from itertools import count as numbers
from pathlib import Path

# Endings of latents, Fictile's and ComfyUI's. `fictile.latent` and `fictile.autoencoder` have them, which a help page
# must not wait for; a test compares them.
SUFFIX, COMFY_SUFFIX = ".latent.safetensors", ".latent"


def slug(text: str, longest: int = 48) -> str:
    """A file name made of a prompt: "A fox, wearing a crown!" becomes "a-fox-wearing-a-crown"."""
    words = re.sub(r"[\W_]+", "-", text.lower()).strip("-")
    return words[:longest].rstrip("-") or "picture"


def destinations(
    output: Path | None, stem: str, suffix: str, count: int = 1, *, beside: str | None = None
) -> list[Path]:
    """The files that the results go to.

    `fox.png` for four pictures becomes `fox-1.png` to `fox-4.png`. A file that the user named is replaced once the
    result is there; without a name, or with only a folder's, the next free name made of `stem` and `suffix` is taken.
    `beside` is the extension of another file that goes beside each; a free name is then free for both.
    """
    if output is None or output.is_dir():
        return _free((output or Path()) / f"{stem}{suffix}", suffix, count, beside)
    return [output] if count == 1 else _numbered(output, output.suffix, 1, count)


def _numbered(path: Path, suffix: str, first: int, count: int) -> list[Path]:
    stem = path.name.removesuffix(suffix)
    return [path.with_name(f"{stem}-{number}{suffix}") for number in range(first, first + count)]


def _free(plain: Path, suffix: str, count: int, beside: str | None) -> list[Path]:
    """Names that nothing has yet: the plain one for one result, else the first numbers in a row."""

    def taken(path: Path) -> bool:
        return path.exists() or (beside is not None and path.with_suffix(beside).exists())

    if count == 1 and not taken(plain):
        return [plain]
    runs = (_numbered(plain, suffix, first, count) for first in numbers(1))
    return next(run for run in runs if not any(taken(path) for path in run))
