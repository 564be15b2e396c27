"""config.json, in which diffusers' folders say what their weights are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fictile.errors import RequestError
from fictile.files import written_whole

STEM = "diffusion_pytorch_model"
CONFIG, WEIGHTS = "config.json", f"{STEM}.safetensors"


def read_config(folder: Path, class_name: str | None = None) -> dict[str, Any]:
    """config.json of a diffusers folder; RequestError when it is missing, damaged or not of the class asked for."""
    path = folder / CONFIG
    if not path.is_file():
        raise RequestError(f"{folder} has no {CONFIG}, so it is no diffusers folder; give one that has.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = config["_class_name"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        raise RequestError(f"{path} is no configuration of a diffusers model; copy the folder again.") from None
    if class_name is not None and found != class_name:
        raise RequestError(f"{folder} holds diffusers' {found}, but {class_name} was expected; give that folder.")
    return cast(dict[str, Any], config)


def write_config(folder: Path, config: Mapping[str, object]) -> None:
    """Write config.json, whole or not at all."""
    with written_whole(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def check_fixed(config: Mapping[str, Any], fixed: Mapping[str, object], folder: Path) -> None:
    """Raises RequestError where the configuration says something else than our networks are."""
    for name, value in fixed.items():
        if config.get(name, value) != value:
            raise RequestError(
                f"{folder / CONFIG} has {name} {config[name]!r}, but Fictile knows this network only with {value!r}; "
                "give another model."
            )
