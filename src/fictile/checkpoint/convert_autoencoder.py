"""An autoencoder alone: its file <-> its folder of diffusers."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from fictile.autoencoder import DCSpec, KLSpec, kind_of
from fictile.autoencoder import Spec as AutoencoderSpec
from fictile.checkpoint.assemble import COUNT, STATISTICS
from fictile.checkpoint.autoencoder_configs import FLUX2, autoencoder_config, class_of
from fictile.checkpoint.autoencoders import autoencoder_name, candidates
from fictile.checkpoint.checkpoint import Checkpoint
from fictile.checkpoint.config_file import WEIGHTS, write_config
from fictile.checkpoint.converted import SINGLE, Converted, own_description
from fictile.checkpoint.entries import network_entries, stored_type
from fictile.checkpoint.native import KEY
from fictile.checkpoint.parts import Part
from fictile.checkpoint.shapes import Naming, convention
from fictile.checkpoint.write import Entry, write_safetensors
from fictile.errors import RequestError
from fictile.files import folder_made_whole

NAMES = RELEASED, DIFFUSERS = "released", "diffusers"


def convert_autoencoder(
    checkpoint: Checkpoint, out: Path, *, dtype: torch.dtype | None, title: str | None, names: str
) -> Converted:
    """Write an autoencoder as a file (where `out` ends in .safetensors), under the names that its release has or under
    diffusers', or as a folder of diffusers. Both say its name, its spec, its normalisation and its latent space.

    Raises RequestError when tensors are missing, when diffusers has no class for it or its units are unknown (of a
    folder), when a value does not fit the type, or `out` cannot be written to.
    """
    part = checkpoint.parts["vae"]
    assert isinstance(part.spec, AutoencoderSpec), "what stands under vae is one"
    if problem := part.problem():
        raise RequestError(problem)
    about = own_description(
        checkpoint,
        {
            "name": title or autoencoder_name(checkpoint),
            "network": kind_of(part.spec),
            "class": class_of(part),
        },
    )
    metadata = {"format": "pt", KEY: about}
    if out.suffix.lower() == SINGLE:
        write_safetensors(out, _entries(part, _released(part) if names == RELEASED else "diffusers", dtype), metadata)
        return Converted(path=out, files=(out,), notes=_notes(checkpoint))
    config = _config(checkpoint, part)
    with folder_made_whole(out) as draft:
        write_config(draft, config)
        write_safetensors(draft / WEIGHTS, _entries(part, "diffusers", dtype), metadata)
    return Converted(path=out, files=(out / WEIGHTS,), notes=_notes(checkpoint))


def _config(checkpoint: Checkpoint, part: Part) -> Mapping[str, object]:
    assert isinstance(part.spec, AutoencoderSpec)
    name = class_of(part)
    if checkpoint.normalisation is None and name != FLUX2:
        raise RequestError(
            f"{checkpoint.path} does not say in which units its latents are, which the config.json of a folder has to, "
            f"and its network is {candidates(checkpoint)}; name the space, or write it as a .safetensors file instead."
        )
    return autoencoder_config(name, part.spec, checkpoint.normalisation, upcast=True)


def _released(part: Part) -> Naming:
    """Whose names a file has that other programs read: LDM's, for FLUX.2's those of its own code, for the others those
    of their release. A DC-AE keeps diffusers' names, by which more programs know it.
    """
    if isinstance(part.spec, KLSpec):
        return "nested ldm" if class_of(part) == FLUX2 else "ldm"
    return "diffusers" if isinstance(part.spec, DCSpec) else "released"


def _entries(part: Part, naming: Naming, dtype: torch.dtype | None) -> list[Entry]:
    """The network's tensors, and the statistics of its latents where they are in the file."""
    statistics = [name for name in (*STATISTICS, COUNT) if name in part.weights]
    return network_entries(part, convention(naming, part.spec), dtype=dtype) + [
        Entry(
            name=name,
            dtype=stored_type(part, name),  # whatever the weights become: units are not to be rounded
            shape=part.weights.tensors[name].shape,
            make=partial(part.weights.read, name),
        )
        for name in statistics
    ]


def _notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    if checkpoint.space:
        return checkpoint.identity.notes
    return (*checkpoint.identity.notes, f"Nothing says its latent space; its network is {candidates(checkpoint)}.")
