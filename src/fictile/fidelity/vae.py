"""The autoencoders that a round trip goes through."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from fictile.autoencoder import AnyAutoencoder
from fictile.checkpoint import load_autoencoder, open_model
from fictile.codec import AutoencoderCodec
from fictile.engine import PRECISIONS, choose_runtime
from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.model import PACKAGED, load
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
    for one in vaes or [load(model, device=device, precision="float32") if model is None else model]:
        if isinstance(one, str | Path):
            autoencoder = _autoencoder(one)
            for precision in dict.fromkeys(precisions):
                opened.append(_placed(autoencoder, Path(one).stem or str(one), precision, device))
        else:
            opened.append(_named(one))
    return _told_apart(opened)


def _named(given: Codec | Vae) -> Vae:
    if isinstance(given, Vae):
        return given
    name = getattr(given, "name", None) or type(given).__name__
    runtime = getattr(given, "runtime", None)
    dtype = getattr(runtime, "decode_dtype", PRECISIONS["float32"])
    return Vae(name=name, codec=given, precision=next(key for key, value in PRECISIONS.items() if value == dtype))


def _placed(autoencoder: AnyAutoencoder, name: str, precision: str, device: str) -> Vae:
    runtime = choose_runtime(device, precision)
    if precision != "auto":  # a runtime keeps autoencoders out of fp16; here it is the question what that would cost
        runtime = replace(runtime, decode_dtype=runtime.dtype)
    named = next(key for key, value in PRECISIONS.items() if value == runtime.decode_dtype)
    return Vae(name=name, codec=AutoencoderCodec(autoencoder, runtime), precision=named)


def _autoencoder(path: str | Path) -> AnyAutoencoder:
    if str(path) == PACKAGED and not Path(path).exists():
        return load(precision="float32").autoencoder
    return load_autoencoder(path) if Path(path).suffix == ".safetensors" else open_model(path).autoencoder


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
