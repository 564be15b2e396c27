"""Names of the form `hub:owner/name[/file]`: a model or a file on the Hugging Face Hub, from the cache if it is there.

This is the only place that reaches for the network, and only because the name says so.
"""

import json
import re
from collections.abc import Iterable
from os import PathLike, environ
from pathlib import Path

from fictile.errors import FictileError, RequestError

HUB = "hub:"
INDEX = "model_index.json"
SINGLE = (".safetensors", ".gguf", ".ckpt")  # endings of a model in one file
_WEIGHTS = re.compile(r"(?P<folder>[^/]+)/[^/]+?(?P<variant>\.\w+)?(?P<shard>-\d{5}-of-\d{5})?\.safetensors")
_SETTINGS = re.compile(r"(?:[^/]+/)?[^/]+\.(?:json|txt|model)")


def resolve(name: str | PathLike[str]) -> Path:
    """Where a name is on this disk: that of a file or folder is its own path, that of the hub a path in its cache.

    What is in the cache is used without asking the network; what is not is downloaded. Of a repository whose cache
    holds one file of weights alone, that is what its name means. `HF_HUB_OFFLINE`, `HF_HOME` and `HF_ENDPOINT` count as
    everywhere. Raises RequestError for a name of another form or one that is not there,
    FictileError when the network fails.
    """
    text = str(name)
    if not text.startswith(HUB):
        return Path(name)
    owner, _, rest = text.removeprefix(HUB).partition("/")
    model, _, file = rest.partition("/")
    no_name = f"{text!r} names nothing on the hub; write hub:owner/name or hub:owner/name/file."
    if not (owner and model) or ".." in rest.split("/"):
        raise RequestError(no_name)
    try:
        from huggingface_hub import errors
    except ImportError:
        raise RequestError(
            f"{text} is on the Hugging Face Hub, and the library for it is missing: pip install 'fictile[hub]'."
        ) from None
    try:
        return _file(f"{owner}/{model}", file) if file else _folder(f"{owner}/{model}")
    except errors.HFValidationError:
        raise RequestError(no_name) from None
    except (errors.EntryNotFoundError, OSError, getattr(errors, "HTTPError", OSError)) as error:  # the network's too
        absent = (errors.RepositoryNotFoundError, errors.EntryNotFoundError, errors.RevisionNotFoundError)
        if isinstance(error, absent) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise RequestError(
                f"{text} is not on the hub, or not open to you; check the name, or log in with `hf auth login`."
            ) from None
        if environ.get("HF_HUB_OFFLINE"):
            raise RequestError(f"{text} is not in the cache, and HF_HUB_OFFLINE is set; download it first.") from None
        reason = str(error).partition("\n")[0]
        raise FictileError(f"{text} could not be downloaded ({reason}); check the connection.") from None


def wanted(files: Iterable[str]) -> list[str]:
    """Which files of a diffusers model are needed: its settings, and of each component the plain safetensors, or where
    there are none those of one variant (fp16 before others). Single files beside the folders are not.
    """
    files = sorted(files)
    groups: dict[str, dict[str, list[str]]] = {}
    for name in files:
        if match := _WEIGHTS.fullmatch(name):
            groups.setdefault(match["folder"], {}).setdefault(match["variant"] or "", []).append(name)
    chosen = [name for name in files if _SETTINGS.fullmatch(name)]
    for variants in groups.values():
        chosen += variants[min(variants, key=lambda variant: (variant != "", variant != ".fp16", variant))]
    return chosen


def _file(repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file)
    return Path(cached if isinstance(cached, str) else hf_hub_download(repository, file))


def _folder(repository: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, INDEX)
    if isinstance(cached, str) and _whole(Path(cached).parent):
        return Path(cached).parent
    if alone := _alone(repository):
        return alone
    files = HfApi().list_repo_files(repository)
    if INDEX in files:
        return Path(snapshot_download(repository, allow_patterns=wanted(files)))
    single = [name for name in files if name.endswith(SINGLE) and "/" not in name]
    if len(single) != 1:
        raise RequestError(
            f"hub:{repository} has no {INDEX} and {len(single)} weight files; "
            f"name one of its files, as hub:{repository}/{(single or ['file'])[0]}."
        )
    return _file(repository, single[0])


def _alone(repository: str) -> Path | None:
    """The file in the cache that a repository is taken to be: the only one of weights, with no folder beside it."""
    from huggingface_hub import errors, snapshot_download

    try:
        cached = list(Path(snapshot_download(repository, local_files_only=True)).iterdir())
    except errors.LocalEntryNotFoundError:
        return None
    weights = [path for path in cached if path.name.endswith(SINGLE)]
    plain = not any(path.is_dir() or path.name == INDEX for path in cached)
    return weights[0] if len(weights) == 1 and plain else None


def _whole(folder: Path) -> bool:
    """Whether all that `wanted` would choose has come already: an earlier download may have been of one file only."""
    try:
        parts = [name for name, value in json.loads((folder / INDEX).read_text(encoding="utf-8")).items() if value[0]]
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False
    for part in (folder / name for name in parts if not name.startswith("_")):
        names = [path.name for path in part.iterdir()] if part.is_dir() else []
        weights = [match for name in names if (match := _WEIGHTS.fullmatch(f"part/{name}"))]
        shards = [match["shard"] for match in weights if match["shard"]]
        if not names or ("config.json" in names and not weights):
            return False
        if any(len(shards) < int(shard[-5:]) for shard in shards):
            return False
    return True
