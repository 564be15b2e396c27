"""The `.latent.safetensors` file: a latent and where it came from. docs/latents.md describes the format."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fictile.errors import RequestError
from fictile.files import written_whole
from fictile.latent.space import LatentSpace

SUFFIX = ".latent.safetensors"
KIND = "latent"
VERSION = 1
TENSOR = "latent"
HEADER = "fictile"  # the metadata entry that holds the header; others say more


@dataclass(frozen=True)
class Header:
    """What the file says about its tensor."""

    space: LatentSpace
    size: tuple[int, int] | None  # height and width of the picture
    vae: str | None  # content hash of the autoencoder


def write_latent(
    path: str | PathLike[str],
    data: Float[Tensor, "b c h w"],
    header: Header,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write the tensor (in its own precision), its header, and `notes` as further metadata entries.

    Raises RequestError when the place cannot be written to.
    """
    metadata = {**(notes or {}), HEADER: json.dumps({"kind": KIND, "version": VERSION, **asdict(header)})}
    with written_whole(path) as temporary:
        temporary.write_bytes(save({TENSOR: data.detach().cpu().contiguous()}, metadata))


def read_latent(path: str | PathLike[str]) -> tuple[Float[Tensor, "b c h w"], Header]:
    """The tensor, on the CPU, and its header.

    Raises RequestError when the file is missing, damaged, of another kind or of a later version.
    """
    with opened(path) as file:
        header = parse_header(path, file.metadata() or {})
        return file.get_tensor(TENSOR).clone(), header  # a copy: the file may change while it is mapped


def read_notes(path: str | PathLike[str]) -> dict[str, str]:
    """What a latent file says beside its header. Raises RequestError as `read_latent` does."""
    with opened(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        parse_header(path, metadata)
    return {name: text for name, text in metadata.items() if name != HEADER}


@contextmanager
def opened(path: str | PathLike[str]) -> Generator[Any]:
    """A safetensors file that holds a latent; what goes wrong inside the block becomes a RequestError."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as error:
        raise RequestError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a .latent.safetensors file."
        ) from error
    except SafetensorError as error:
        raise RequestError(
            f"{path} is no whole .latent.safetensors file ({error}); encode the picture again or give another file."
        ) from error


def parse_header(path: str | PathLike[str], metadata: dict[str, str]) -> Header:
    """The header among the metadata of a safetensors file. Raises RequestError as `read_latent` does."""
    try:
        fields: dict[str, Any] = json.loads(metadata.get(HEADER, "{}"))
        kind, version = fields.get("kind", "safetensors of another program"), fields.get("version")
        if kind != KIND:
            raise RequestError(f"{path} is of the kind '{kind}', not '{KIND}'; give one that `fictile encode` wrote.")
        if version != VERSION:
            raise RequestError(f"{path} has format version {version}, but {VERSION} is known here; update Fictile.")
        space, size, vae = fields["space"], fields["size"], fields["vae"]
        if size is not None and min(size) < 1:
            raise ValueError(f"a size of {size}")
        return Header(
            space=LatentSpace(id=str(space["id"]), channels=int(space["channels"]), factor=int(space["factor"])),
            size=(int(size[0]), int(size[1])) if size is not None else None,
            vae=str(vae) if vae else None,
        )
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RequestError(f"{path} has a damaged header ({error}); encode the picture again.") from error
