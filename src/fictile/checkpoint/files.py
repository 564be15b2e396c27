"""Files as bytes: what one is by its first bytes, and its hash."""

import hashlib
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Literal

from fictile.errors import RequestError

FileKind = Literal["empty", "safetensors", "pickle", "git-lfs pointer", "web page", "gguf", "picture", "unknown"]

_BEGINNINGS: Mapping[FileKind, bytes] = {
    "pickle": rb"PK\x03\x04|\x80[\x02-\x05]",  # torch's zip, or a bare pickle
    "git-lfs pointer": rb"version https://git-lfs",
    "web page": rb"(\xef\xbb\xbf)?\s*<(?i:!doctype|html)",
    "gguf": rb"GGUF",
    "picture": rb"|".join(
        (
            rb"\x89PNG\r\n\x1a\n",
            rb"\xff\xd8\xff",  # JPEG
            rb"GIF8[79]a",
            rb"RIFF.{4}WEBP",
            rb"II\*\0|MM\0\*",  # TIFF in either byte order
            rb"BM.{4}\0{4}",
            rb".{4}ftypavif",
        )
    ),
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
    for kind, pattern in _BEGINNINGS.items():
        if re.match(pattern, start, re.DOTALL):
            return kind
    return "unknown"


def first_bytes(path: Path) -> bytes:
    """At most 64 bytes from the beginning; RequestError when the file is missing, a folder or unreadable."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist; check the name.") from None
    except IsADirectoryError:
        raise RequestError(f"{path} is a folder, but a file was expected; name one of the files in it.") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}); check its permissions.") from None


def joined_hash(hashes: list[str]) -> str:
    """One hash for several; that of a single one is itself."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def content_hash(path: str | PathLike[str]) -> str:
    """SHA-256 of the file's bytes, as 64 hexadecimal digits. Raises RequestError when it cannot be read."""
    first_bytes(Path(path))
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
