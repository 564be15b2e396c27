"""The autoencoders that a round trip goes through."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol, runtime_checkable

from fictile.checkpoint.folder import PACKAGED
from fictile.codec import AutoencoderCodec, check_tiling
from fictile.engine import PRECISIONS, Runtime, choose_runtime, precision_name
from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.matching.choose import open_codec
from fictile.picture import Picture, from_uint8, to_uint8

AUTOENCODER = "emoji"  # the packaged one, which has kept the name of the first model that had it


@runtime_checkable
class Codec(Protocol):
    """Takes pictures to latents and back: a model, or anything else that knows both ways."""

    def encode(self, picture: Picture) -> Latent: ...

    def decode(self, latent: Latent) -> Picture: ...


@dataclass(frozen=True, kw_only=True)
class Vae:
    """A codec under the name that a report calls it by."""

    name: str
    codec: Codec
    precision: str  # "float32", "bf16", "fp16": how its latents and activations are held
    tiling: str = "auto"  # "auto", "on", "off": whether it runs in bands of rows

    @property
    def bits(self) -> int:
        """Of each number of a latent."""
        return PRECISIONS[self.precision].itemsize * 8


VaeLike = str | Path | Codec | Vae


@dataclass(frozen=True)
class Tiled:
    """A codec that is told for each picture whether to go in bands."""

    codec: AutoencoderCodec
    tiling: str

    def encode(self, picture: Picture) -> Latent:
        """As the codec does."""
        return self.codec.encode(picture, tiling=self.tiling)

    def decode(self, latent: Latent) -> Picture:
        """As the codec does."""
        return self.codec.decode(latent, tiling=self.tiling)


def one_pass(picture: Picture, codec: Codec) -> tuple[Latent, Picture]:
    """The latent of a picture, and the picture that comes back, rounded to 8 bits."""
    latent = codec.encode(picture)
    return latent, Picture(from_uint8(to_uint8(codec.decode(latent).pixels)))


def open_vaes(
    vaes: Sequence[VaeLike],
    precisions: Sequence[str] = ("auto",),
    device: str = "auto",
    model: str | Path | None = None,
    tilings: Sequence[str] = ("auto",),
    *,
    max_memory: int | None = None,
) -> list[Vae]:
    """Every autoencoder in every precision and tiling, each under a name of its own; that of `model` if none is given.

    The precision "auto" is float32, which an autoencoder runs in unless told otherwise; the tiling "auto" is bands of
    rows where memory, of which `max_memory` bytes may be held, is short. What is no path runs as it is.

    Raises RequestError for a file that holds no autoencoder, a tiling that there is not, or a precision or device that
    is not to be had.
    """
    for tiling in tilings:
        check_tiling(tiling)
    opened: list[Vae] = []
    for one in vaes or [model or AUTOENCODER]:
        if isinstance(one, str | Path):
            for precision in dict.fromkeys(precisions):
                vae, codec = _opened(one, _runtime(precision, device, max_memory))
                opened += [replace(vae, codec=Tiled(codec, tiling), tiling=tiling) for tiling in dict.fromkeys(tilings)]
        else:
            opened.append(_named(one))
    return _told_apart(opened)


def _named(given: Codec | Vae) -> Vae:
    if isinstance(given, Vae):
        return given
    name = getattr(given, "name", None) or type(given).__name__
    runtime = getattr(given, "runtime", None)
    dtype = runtime.decode_dtype if isinstance(runtime, Runtime) else PRECISIONS["float32"]
    return Vae(name=name, codec=given, precision=precision_name(dtype))


def _runtime(precision: str, device: str, max_memory: int | None) -> Runtime:
    """As for a model; but that keeps autoencoders out of fp16, and here it is the question what fp16 would cost."""
    runtime = choose_runtime(device, precision, max_memory=max_memory)
    return runtime if precision == "auto" else replace(runtime, decode_dtype=runtime.dtype)


def _opened(path: str | Path, runtime: Runtime) -> tuple[Vae, AutoencoderCodec]:
    name = Path(path).stem.removesuffix("_encoder").removesuffix("_decoder") or str(path)  # taesd's come in two files
    if str(path) not in (AUTOENCODER, PACKAGED) or Path(path).exists():
        codec = open_codec(path, runtime)
    else:
        with as_file(files("fictile") / "builtin" / PACKAGED) as folder:
            codec = open_codec(folder, runtime)
    return Vae(name=name, codec=codec, precision=precision_name(runtime.decode_dtype)), codec


def _told_apart(vaes: list[Vae]) -> list[Vae]:
    """The precision joins the names if it differs among those of a name, as does the tiling; then a number."""
    if not vaes:
        raise RequestError("No autoencoder was given; name one or more.")
    by_precision = _longer([vae.name for vae in vaes], [f" {vae.precision}" for vae in vaes])
    by_tiling = _longer(by_precision, [f", tiling {vae.tiling}" for vae in vaes])
    counts = [by_tiling[: index + 1].count(name) for index, name in enumerate(by_tiling)]
    unique = _longer(by_tiling, [f" ({count})" for count in counts])
    return [replace(vae, name=name) for vae, name in zip(vaes, unique, strict=True)]


def _longer(names: list[str], endings: list[str]) -> list[str]:
    """Each name that several have, with its ending where theirs differ."""
    several: dict[str, set[str]] = {}
    for name, ending in zip(names, endings, strict=True):
        several.setdefault(name, set()).add(ending)
    return [name + ending if len(several[name]) > 1 else name for name, ending in zip(names, endings, strict=True)]
