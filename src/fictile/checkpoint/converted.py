"""What converting leaves behind, and what a file that it writes says of itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fictile.checkpoint.checkpoint import Checkpoint

VERSION = 1  # of what we write under KEY
SINGLE = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What was written, and what a user should know of it."""

    path: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def own_description(checkpoint: Checkpoint, more: Mapping[str, object]) -> str:
    """The value of KEY in the metadata: what was found of the networks, and `more`; what is None is left out."""
    own = {
        "kind": "checkpoint",
        "version": VERSION,
        **more,
        "specs": {role: asdict(part.spec) for role, part in checkpoint.parts.items()},
        "normalisation": asdict(checkpoint.normalisation) if checkpoint.normalisation else None,
        "space": asdict(checkpoint.space) if checkpoint.space else None,
        "vae_origin": checkpoint.vae_origin,
        "vae_forced": checkpoint.vae_forced or None,
    }
    return json.dumps({name: value for name, value in own.items() if value is not None})
