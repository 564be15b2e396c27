"""Pictures with captions, from a folder in the `imagefolder` convention (pictures beside a metadata.jsonl)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from fictile.errors import RequestError
from fictile.picture import load_picture

HELD_OUT = 0.02  # part of a folder that names no held-out pictures of its own
MEMORY = 2 << 30  # bytes of prepared pictures that are kept
WORDS = ("text", "captions")  # the fields of a line that hold what may be said of its picture
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True)
class Entry:
    """One picture, what may be said of it, how often it is drawn beside the others, and whether it may be mirrored."""

    path: Path
    captions: tuple[str, ...]
    weight: float = 1.0
    flip: bool = True


@dataclass
class Pictures:
    """Some pictures, fitted to squares of one size."""

    entries: Sequence[Entry]
    size: int
    _kept: dict[int, UInt8[Tensor, "3 s s"]] = field(default_factory=dict[int, Tensor], init=False)

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def weights(self) -> Float[Tensor, " n"]:
        """How often each picture is drawn, unnormalised."""
        return torch.tensor([entry.weight for entry in self.entries])

    @property
    def captioned(self) -> int:
        """How many pictures have a caption that is not empty."""
        return sum(any(entry.captions) for entry in self.entries)

    @property
    def drawn(self) -> list[int]:
        """Indices of the pictures that are ever drawn: those of a weight above 0."""
        return [index for index, entry in enumerate(self.entries) if entry.weight]

    def draw(self, count: int, generator: torch.Generator) -> list[int]:
        """Indices of `count` pictures, drawn by weight with replacement."""
        return torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist()

    def mirrored(self, indices: Sequence[int], generator: torch.Generator) -> Bool[Tensor, " n"]:
        """Which of some pictures to mirror: half of those that may be."""
        allowed = torch.tensor([self.entries[index].flip for index in indices])
        return allowed & (torch.rand(len(indices), generator=generator) < 0.5)

    def pixels(self, index: int) -> Float[Tensor, "3 s s"]:
        """One picture in [-1, 1], its shorter side scaled to `size` and its middle kept."""
        if index not in self._kept:
            prepared = _to_bytes(fit(load_picture(self.entries[index].path).pixels, self.size))
            if len(self._kept) * prepared.nelement() < MEMORY:
                self._kept[index] = prepared
            return _from_bytes(prepared)
        return _from_bytes(self._kept[index])

    def batch(self, indices: Sequence[int]) -> Float[Tensor, "b 3 s s"]:
        """Several pictures."""
        return torch.stack([self.pixels(index) for index in indices])


def fit(pixels: Float[Tensor, "3 h w"], size: int) -> Float[Tensor, "3 s s"]:
    """Scale the shorter side to `size` (antialiased) and keep the middle."""
    height, width = pixels.shape[1:]
    if (height, width) == (size, size):
        return pixels
    scale = size / min(height, width)
    target = (max(size, round(height * scale)), max(size, round(width * scale)))
    scaled = interpolate(pixels[None], target, mode="bicubic", antialias=True)[0].clamp(-1, 1)
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return scaled[:, top : top + size, left : left + size]


def open_folder(folder: Path, size: int) -> tuple[Pictures, Pictures]:
    """The pictures to train on, and those to measure on.

    `folder` holds sub-folders `train` and `heldout`, or is itself a folder of pictures, of which a fixed part is then
    held out by a hash of the file names.

    Raises:
        RequestError: there are no pictures, or metadata.jsonl names one that is missing or is not readable.
    """
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}; give a folder of pictures with a metadata.jsonl.")
    if (folder / "train").is_dir():
        train = read_entries(folder / "train")
        heldout = read_entries(folder / "heldout") if (folder / "heldout").is_dir() else []
    else:
        train, heldout = [], []
        for entry in read_entries(folder):
            (heldout if _share(entry.path.name) < HELD_OUT else train).append(entry)
    if not any(entry.weight for entry in train):
        raise RequestError(f"{folder} holds no pictures to train on; give a folder of pictures with a metadata.jsonl.")
    return Pictures(train, size), Pictures(heldout or train[:16], size)


def fingerprint(*parts: Pictures) -> str:
    """A hash of which pictures there are, by name and in order, with all that is said of them."""
    listed = [
        [(one.path.name, one.captions, one.weight, *(() if one.flip else ("no flip",))) for one in part.entries]
        for part in parts
    ]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def read_entries(folder: Path) -> list[Entry]:
    """The pictures that metadata.jsonl lists, in its order; without one, every picture in the folder, captionless."""
    metadata = folder / "metadata.jsonl"
    if not metadata.exists():
        return [Entry(path, ("",)) for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    try:
        lines = metadata.read_text(encoding="utf-8-sig").split(
            "\n"
        )  # not splitlines(), which also splits inside captions
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{metadata} cannot be read ({error}); it must be a text file in UTF-8.") from error
    numbered = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    return [_read_entry(folder, line, f"Line {number} of {metadata}") for number, line in numbered if line]


def _read_entry(folder: Path, line: str, place: str) -> Entry:
    try:
        fields: dict[str, Any] = json.loads(line)
        path = folder / str(fields["file_name"])
        captions = fields.get("captions", [fields.get("text", "")])
        weight = float(fields.get("weight", 1.0))
        flip = fields.get("flip", True)
        meant = [] if any(word in fields for word in WORDS) else [key for key in fields if _is_near(key)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f'{place} is not an entry like {{"file_name": "a.png", "text": "a fox"}}: {line}') from error
    if not path.is_file():
        raise RequestError(f"{place} names {path.name}, which is not there; add the picture or remove the line.")
    if meant:
        raise RequestError(f'{place} has "{meant[0]}", which nobody reads; call it "text", or "captions" with a list.')
    if not isinstance(captions, list) or not captions or not all(isinstance(caption, str) for caption in captions):
        raise RequestError(f'{place} has no captions; give "text", or "captions" with a list of at least one: {line}')
    if not 0 <= weight < float("inf"):
        raise RequestError(f"{place} has the weight {weight}; it must be a number of at least 0.")
    if not isinstance(flip, bool):
        raise RequestError(f'{place} has "flip": {flip!r}; it must be true, or false for what must not be mirrored.')
    return Entry(path, tuple(captions), weight, flip)


def _is_near(key: str) -> bool:
    """Whether somebody most likely meant one of `WORDS`."""
    return bool(get_close_matches(key.lower(), WORDS))


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _to_bytes(pixels: Float[Tensor, "3 s s"]) -> UInt8[Tensor, "3 s s"]:
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _from_bytes(pixels: UInt8[Tensor, "3 s s"]) -> Float[Tensor, "3 s s"]:
    return pixels.float() / 127.5 - 1
