"""How a file appears: whole, or not at all; and where those are that can be made again."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from shutil import rmtree

from safetensors import SafetensorError

from fictile.errors import FictileError, RequestError


def cache_folder() -> Path:
    """Where programs keep what they can find out again (freedesktop.org, XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fictile"


def check_folder(path: str | PathLike[str]) -> None:
    """Raise RequestError if a file cannot be put at `path`: call it before the work whose result goes there."""
    path = Path(path)
    if path.is_dir():
        raise RequestError(f"{path} is a folder: give the name of a file to write.")
    if not path.parent.is_dir():
        raise RequestError(f"There is no folder {path.parent} to write {path.name} into: make it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()  # the only question that every file system answers truly
    except OSError as error:
        raise RequestError(
            f"Nothing can be written into {path.parent} ({error.strerror}): choose another folder."
        ) from error


def made_folder(path: str | PathLike[str]) -> Path:
    """The folder, made with those around it where it is missing. Raises RequestError when it cannot be made."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder} cannot be made ({error.strerror}): choose another folder.") from error
    return folder


@contextmanager
def written_whole(path: str | PathLike[str]) -> Generator[Path]:
    """A temporary name beside `path` to write to; it takes the real name when the block ends well.

    Raises RequestError when the place cannot be written to, FictileError when writing fails on the way, as on a full
    disk. Whatever happens, no half file remains.
    """
    target = Path(path)
    check_folder(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # what a new file gets here; some libraries write theirs for the owner alone
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    except (OSError, SafetensorError, RuntimeError) as error:  # a full disk, as safetensors and torch.save report it
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        raise FictileError(f"{target} could not be written ({reason}): make room or choose another folder.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_made_whole(path: str | PathLike[str]) -> Generator[Path]:
    """A folder under a temporary name beside `path` to write into; it takes the real name when the block ends well.

    Raises RequestError when something else than an empty folder is there already, or the place cannot be written to.
    Whatever happens, no half folder remains.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RequestError(f"{target} is there already and not an empty folder; choose another name.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield made_folder(draft)
        if target.exists():
            target.rmdir()
        draft.replace(target)
    finally:
        rmtree(draft, ignore_errors=True)
