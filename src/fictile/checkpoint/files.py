"""Files as bytes: what one is by its first bytes, and its hash."""

import hashlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Literal

from fictile.errors import RequestError

FileKind = Literal["empty", "safetensors", "pickle", "git-lfs pointer", "web page", "gguf", "png", "unknown"]


_BEGINNINGS: Mapping[FileKind, tuple[bytes, ...]] = {
    "pickle": (b"pk\x03\x04", *(bytes([0x80, protocol]) for protocol in (2, 3, 4, 5))),  # torch's zip, or a bare pickle
    "git-lfs pointer": (b"version https://git-lfs",),
    "web page": (b"<!doctype", b"<html"),
    "gguf": (b"gguf",),
    "png": (b"\x89png\r\n\x1a\n",),
}


def recognise(path: Path) -> FileKind:
    """What the first bytes say; nothing is opened further, let alone run.

    Raises RequestError when there is no such file.
    """
    start = first_bytes(path)
    if not start:
        return "empty"
    if start[8:9] == b"{" and start[5:8] == b"\0\0\0":  # the length of the header, then the header, which is JSON
        return "safetensors"
    text = start.lstrip().lower()
    for kind, beginnings in _BEGINNINGS.items():
        if text.startswith(beginnings):
            return kind
    return "unknown"


def first_bytes(path: Path) -> bytes:
    """At most 64 bytes from the beginning; RequestError when the file is missing, a folder or unreadable."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist; check the name") from None
    except IsADirectoryError:
        raise RequestError(f"{path} is a folder, but a file was expected; name one of the files in it") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}); check its permissions") from None


def content_hash(path: str | PathLike[str]) -> str:
    """SHA-256 of the file's bytes, as 64 hexadecimal digits. Raises RequestError when it cannot be read."""
    first_bytes(Path(path))
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
