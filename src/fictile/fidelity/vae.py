"""The autoencoders that a round trip goes through."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol, runtime_checkable

from fictile.engine import PRECISIONS, Runtime, choose_runtime, precision_name
from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.loading import PACKAGED
from fictile.matching.choose import open_codec
from fictile.picture import Picture


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

    @property
    def bits(self) -> int:
        """Of each number of a latent."""
        return PRECISIONS[self.precision].itemsize * 8


VaeLike = str | Path | Codec | Vae


def open_vaes(
    vaes: Sequence[VaeLike],
    precisions: Sequence[str] = ("auto",),
    device: str = "auto",
    model: str | Path | None = None,
) -> list[Vae]:
    """Every autoencoder in every precision, each under a name of its own; that of `model` if none is given.

    "auto" is float32, which an autoencoder runs in unless told otherwise. What is no path runs as it is.

    Raises RequestError for a file that holds no autoencoder, or a precision or device that is not to be had.
    """
    opened: list[Vae] = []
    for one in vaes or [model or PACKAGED]:
        if isinstance(one, str | Path):
            opened += [_opened(one, _runtime(precision, device)) for precision in dict.fromkeys(precisions)]
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


def _runtime(precision: str, device: str) -> Runtime:
    """As for a model; but that keeps autoencoders out of fp16, and here it is the question what fp16 would cost."""
    runtime = choose_runtime(device, precision)
    return runtime if precision == "auto" else replace(runtime, decode_dtype=runtime.dtype)


def _opened(path: str | Path, runtime: Runtime) -> Vae:
    precision = precision_name(runtime.decode_dtype)
    if str(path) != PACKAGED or Path(path).exists():
        return Vae(name=Path(path).stem or str(path), codec=open_codec(path, runtime), precision=precision)
    with as_file(files("fictile") / "builtin" / PACKAGED) as folder:
        return Vae(name=PACKAGED, codec=open_codec(folder, runtime), precision=precision)


def _told_apart(vaes: list[Vae]) -> list[Vae]:
    """The precision joins a name that several have, and then a number."""
    names = [vae.name for vae in vaes]
    longer = [f"{vae.name} {vae.precision}" if names.count(vae.name) > 1 else vae.name for vae in vaes]
    unique = [
        f"{name} ({longer[:index].count(name) + 1})" if longer.count(name) > 1 else name
        for index, name in enumerate(longer)
    ]
    if not vaes:
        raise RequestError("No autoencoder was given; name one or more.")
    return [replace(vae, name=name) for vae, name in zip(vaes, unique, strict=True)]
