"""The pinned npm packages that the art and the words come from, fetched once and read without unpacking."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fictile.errors import FictileError, RequestError


@dataclass(frozen=True)
class Package:
    """One version of one npm package; the hash is that of its archive."""

    name: str
    version: str
    sha256: str

    @property
    def archive(self) -> str:
        """The file name that ``npm pack`` gives it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    def fetch(self, cache: Path) -> "Archive":
        """The package from the cache folder, or from the registry into it.

        Raises:
            RequestError: npm is not installed.
            FictileError: the registry does not give the package, or gives another one than the pinned.
        """
        kept = cache / self.archive
        if not kept.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                self._pack(Path(folder)).replace(kept)
        if hashlib.sha256(kept.read_bytes()).hexdigest() != self.sha256:
            raise FictileError(f"{kept} is not the pinned {self.name} {self.version}: delete it and run this again.")
        return Archive(kept)

    def _pack(self, folder: Path) -> Path:
        npm = shutil.which("npm")
        if npm is None:
            raise RequestError(f"npm was not found, and {self.archive} is not in the cache: install Node.js.")
        command = [npm, "pack", f"{self.name}@{self.version}", "--loglevel=error", "--pack-destination", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        packed = folder / self.archive
        if done.returncode != 0 or not packed.exists():
            reason = " ".join(done.stderr.split("\n")[:2]) or "it gave no reason"
            raise FictileError(f"npm could not fetch {self.name} {self.version} ({reason}): check the network.")
        return packed


class Archive:
    """The files of a fetched package."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self, suffix: str) -> dict[str, bytes]:
        """The content of every file that ends so, by name without folder and suffix."""
        with tarfile.open(self.path) as archive:
            return {
                PurePosixPath(member.name).stem: stream.read()
                for member in archive
                if member.name.endswith(suffix) and (stream := archive.extractfile(member))
            }

    def json(self, name: str) -> Any:
        """The content of one JSON file, named by its path inside the package."""
        with tarfile.open(self.path) as archive:
            stream = archive.extractfile(f"package/{name}")
            assert stream is not None, f"{name} is a folder"
            return json.load(stream)


FLUENT_3D = Package(
    "@lobehub/fluent-emoji-3d", "1.1.0", "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"
)
FLUENT_FLAT = Package(
    "@iconify-json/fluent-emoji-flat", "1.2.6", "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"
)
NOTO = Package("@iconify-json/noto", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad")
TWEMOJI = Package("@iconify-json/twemoji", "1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7")
EMOJIBASE = Package("emojibase-data", "17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a")
EMOJILIB = Package("emojilib", "4.0.3", "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303")
