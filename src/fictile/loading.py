"""A file, a folder or a name becomes a model, or an autoencoder alone, ready to run."""

from importlib.resources import as_file, files
from pathlib import Path

from fictile.autoencoder import PrecisionMemory
from fictile.checkpoint.folder import PACKAGED
from fictile.codec import AutoencoderCodec
from fictile.engine import Runtime, choose_runtime
from fictile.matching.choose import open_codec, open_parts
from fictile.model import Model


def load(
    path: str | Path | None = None,
    *,
    vae: str | Path | None = None,
    force: bool = False,
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
    max_memory: int | None = None,
    runtime: Runtime | None = None,
    once: bool = False,
) -> Model:
    """A model, or the packaged one: a folder of Fictile's or of diffusers, a single file of Stable Diffusion, a folder
    with such a file and autoencoders beside it, or `hub:owner/name[/file]`. `runtime`, if given, takes the place of
    `device`, `precision`, `backend` and `max_memory`.

    `max_memory` are the bytes that the process may hold (on CUDA, that it may take of the device). Encoding and
    decoding keep to it in bands; whether the rest of a request does is told by `planning`, before anything is loaded.

    An autoencoder `vae`, of any kind that `checkpoint.open_autoencoder` opens, takes the place of the model's own; one
    of another space only with `force`. `Model.vae_origin` says which one it is, and why.

    Memory holds the model once, in the precision that it runs in, and beside it at most four tensors as they lie in the
    file. With `once` the model makes pictures a single time, and lets each network go after its last use: the text
    encoder before denoising, the denoiser before decoding.
    Without a `runtime`, an autoencoder that has overflowed before begins in the precision that it needed then.

    Raises RequestError for what is no whole model, or when the device or precision is not to be had, SpaceMismatch for
    an autoencoder that surely does not belong to the model.
    """
    memory = PrecisionMemory() if runtime is None else None
    runtime = runtime or choose_runtime(device, precision, backend, max_memory=max_memory)
    with as_file(files("fictile") / "builtin" / PACKAGED) as packaged:
        parts = open_parts(path or packaged, vae, force=force, dtype=runtime.dtype)
    return Model(parts, runtime, memory=memory, own=True, once=once)


def load_codec(
    vae: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
    max_memory: int | None = None,
) -> AutoencoderCodec:
    """An autoencoder alone, to encode and decode with. Raises RequestError for what holds none."""
    return open_codec(vae, choose_runtime(device, precision, backend, max_memory=max_memory), memory=PrecisionMemory())
