"""ComfyUI's `.latent` files, read and written as its nodes SaveLatent and LoadLatent do (nodes.py, LoadLatent).

They are safetensors files with the tensor `latent_tensor`, and say neither space nor autoencoder. With an empty tensor
`latent_format_version_0` beside it, the values are what an autoencoder gave, before any normalisation. Files without
that marker are older, and their values have been multiplied by 0.18215, the scale of Stable Diffusion 1.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fictile.autoencoder.known import FLUX1, PLAYGROUND_25, SD1, SD3, SDXL, WAN21
from fictile.autoencoder.normalisation import Normalisation
from fictile.errors import RequestError
from fictile.files import written_whole
from fictile.latent import SPACES, Latent

COMFY_SUFFIX = ".latent"
TENSOR, MARKER = "latent_tensor", "latent_format_version_0"
OLD_SCALE = 0.18215

# From the units of ComfyUI's latents to the model's, in the spaces that ComfyUI has (latent_formats.py). Those of
# FLUX.2 are normalised and folded by its autoencoder there already.
UNITS: Mapping[str, Normalisation] = {
    known.space.id: known.normalisation
    for known in (SD1, SDXL, PLAYGROUND_25, SD3, FLUX1, WAN21)
    if known.normalisation
} | {"flux2": Normalisation.identity(SPACES["flux2"].channels)}


def read_comfy_latent(path: str | Path, space: str | None = None) -> Latent:
    """The latent in a `.latent` file, in model units on the CPU.

    `space` is the id of the one it lives in; it may be left out where only one of them has as many channels.

    Raises RequestError when the file is missing, damaged or of another kind, holds a video, does not have the channels
    of the space, or could be of several spaces and none is given.
    """
    try:
        tensors = load(Path(path).read_bytes())
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror or error}); give the path of a latent.") from error
    except SafetensorError as error:
        raise RequestError(f"{path} is no whole .latent file ({error}); give another copy of it.") from error
    if TENSOR not in tensors:
        raise RequestError(f"{path} holds no tensor {TENSOR}; give a file that ComfyUI's SaveLatent wrote.")
    raw = _picture(tensors[TENSOR].float(), path)
    if MARKER not in tensors:
        raw = raw / OLD_SCALE
    space = _told(space, raw.shape[1], path)
    return Latent(UNITS[space].apply(raw), SPACES[space])


def write_comfy_latent(latent: Latent, path: str | Path) -> None:
    """Write a latent for ComfyUI, with the marker, in float32. The true size of its picture has no place there.

    Raises RequestError when ComfyUI has no such space, or the place cannot be written to.
    """
    name = latent.space.id
    if name not in UNITS or latent.space != SPACES[name]:
        raise RequestError(
            f"The latent lives in {latent.space}, which ComfyUI's .latent files do not have; "
            "give a name that ends in .latent.safetensors."
        )
    tensors = {TENSOR: UNITS[name].undo(latent.data.float().cpu()).contiguous(), MARKER: torch.empty(0)}
    with written_whole(path) as temporary:
        temporary.write_bytes(save(tensors))


def write_latent(latent: Latent, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a latent as the name says: one that ends in .latent is for ComfyUI, any other one of Fictile's own.

    Raises RequestError as `write_comfy_latent` and `Latent.save` do.
    """
    if Path(path).suffix == COMFY_SUFFIX:
        write_comfy_latent(latent, path)
    else:
        latent.save(path, notes)


def _picture(data: Tensor, path: str | Path) -> Float[Tensor, "b c h w"]:
    """Without the time axis that those of Wan and Qwen-Image have."""
    if data.ndim == 5 and data.shape[2] == 1:
        data = data.squeeze(2)
    if data.ndim != 4 or not data.numel():
        raise RequestError(
            f"{path} holds data of shape {tuple(data.shape)}, not latents of pictures; give such a file."
        )
    return data


def _told(space: str | None, channels: int, path: str | Path) -> str:
    """The space that was given, or the only one with these channels; never a guess."""
    fitting = [name for name in UNITS if SPACES[name].channels == channels]
    if space is None and len(fitting) == 1:
        return fitting[0]
    choice = f"of ComfyUI's spaces, {', '.join(fitting) or 'none'} has as many"
    if space is None:
        raise RequestError(f"{path} has {channels} channels and does not say its space; name it: {choice}.")
    if space not in fitting:
        raise RequestError(f"{path} has {channels} channels, and {space} does not: {choice}; name that one.")
    return space
