"""Runs that are sampled and not decoded yet. Sampling takes long and decoding fails most: what is sampled is kept.

They lie in `fictile/latents` of the user's state folder (freedesktop.org, XDG base directories), a file for each run:
the latents of all its pictures, their recipe, and what is needed to go on (docs/latents.md). Only the newest are kept.
"""

import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from fictile.autoencoder import COMFY_SUFFIX, read_comfy_latent
from fictile.errors import FictileError, RequestError
from fictile.latent import SUFFIX, Latent, read_notes
from fictile.recipe import IN_LATENT, Recipe

KEPT = 20  # the newest runs; the file of an older one is removed when another is kept
RUN = "run"  # the metadata entry of a latent file that says how to go on


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What a latent file holds for whoever decodes it."""

    latent: Latent
    recipe: Recipe | None = None  # of the first picture
    model: str | None = None  # what `load` was given ...
    vae: str | None = None  # ... as well
    pictures: tuple[Path, ...] = ()  # where the pictures were to go, in full
    start: Path | None = None  # the file that the run started from, in full; an edit is painted on it

    @classmethod
    def read(cls, path: str | Path, space: str | None = None) -> "Sampled":
        """From any latent file, Fictile's or ComfyUI's; `space` is for the latter (see `read_comfy_latent`).

        Raises RequestError when it, or what it says of its run, cannot be read.
        """
        if Path(path).name.endswith(COMFY_SUFFIX):
            return cls(latent=read_comfy_latent(path, space))
        latent, notes = Latent.load(path), read_notes(path)
        if space not in {None, latent.space.id}:
            raise RequestError(f"{path} lives in {latent.space}, and {space} was given; leave the space out.")
        try:
            run: dict[str, Any] = json.loads(notes.get(RUN, "{}"))
            model, pictures = run.get("model"), tuple(map(Path, run.get("pictures", ())))
            start, vae = (Path(run["start"]) if run.get("start") else None), run.get("vae")
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise RequestError(f"{path} does not say how its run goes on; it was changed after it was made.") from None
        recipe = Recipe.from_json(notes[IN_LATENT], f"the recipe in {path}") if IN_LATENT in notes else None
        return cls(
            latent=latent,
            recipe=recipe,
            model=model and str(model),
            vae=vae and str(vae),
            pictures=pictures[: len(latent)],
            start=start,
        )

    def check_vae(self, vae_hash: str | None, origin: str) -> None:
        """Raises RequestError unless `vae_hash`, of an autoencoder from `origin`, is that of the run's own."""
        needed = self.recipe and self.recipe.vae_hash
        if self.recipe and needed and vae_hash != needed:
            raise RequestError(
                f"The run had the autoencoder with hash {needed[:10]} ({self.recipe.vae_origin}), but here is that "
                f"with hash {(vae_hash or 'none')[:10]} ({origin}); bring the old one back, or name one with --vae."
            )

    def names(self) -> list[Path]:
        """Where the pictures were to go, or names beside these where something has come there since."""
        if not any(path.exists() for path in self.pictures):
            return list(self.pictures)
        tries = ([path.with_stem(f"{path.stem}-{n}") for path in self.pictures] for n in count(1))
        return next(paths for paths in tries if not any(path.exists() for path in paths))


class Shelf:
    """The folder where the latents of unfinished runs lie."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _state() / "latents"

    def keep(
        self,
        latent: Latent,
        recipe: Recipe,
        *,
        model: str | None,
        pictures: Sequence[Path],
        start: Path | None = None,
        vae: str | None = None,
    ) -> Path | None:
        """Put the latents of a run on the disk; returns where.

        `recipe` is that of the first picture, `model` and `vae` what `load` was given, `pictures` where they are to go,
        `start` the file that they started from. Keeping is a precaution: when it is not possible, a warning is logged,
        None returned, and the run goes on.
        """
        run: dict[str, Any] = {"model": model, "vae": vae, "pictures": [str(path.absolute()) for path in pictures]}
        run["start"] = start and str(start.absolute())
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # prompts are nobody else's
            path = self._free_name()
            latent.save(path, {IN_LATENT: recipe.to_json(), RUN: json.dumps(run)})
            self._prune()
        except (OSError, FictileError) as error:
            logging.getLogger(__name__).warning("The latent could not be kept until it is decoded. %s", error)
            return None
        return path

    def last(self) -> Path:
        """The file of the newest unfinished run. Raises RequestError when there is none."""
        runs = self._runs()
        if not runs:
            raise RequestError(f"No run is unfinished: {self.folder} holds no latent; give the path of a latent file.")
        return runs[-1]

    def remove(self, path: Path) -> None:
        """The run is finished. A file that lies elsewhere belongs to the user and stays."""
        if path.absolute().parent == self.folder.absolute():
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _runs(self) -> list[Path]:
        """From the oldest to the newest: their names begin with the time."""
        return sorted(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else []

    def _free_name(self) -> Path:
        while True:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}{SUFFIX}"
            if not (self.folder / name).exists():
                return self.folder / name

    def _prune(self) -> None:
        for old in self._runs()[:-KEPT]:
            old.unlink(missing_ok=True)


def _state() -> Path:
    """Where programs keep what should outlive them and is of no worth elsewhere."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fictile"


def as_given(model: Path | None) -> str | None:
    """What `load` was given, so that it can be given again from any folder."""
    return None if model is None else str(model.absolute() if model.exists() else model)
