"""One door to every autoencoder that people have, whatever it lies in: opened without being loaded, then loaded."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.autoencoder import AnyAutoencoder, Normalisation, NormalisedAutoencoder, TinySpec
from fictile.autoencoder import Network as AutoencoderNetwork
from fictile.checkpoint.checkpoint import Checkpoint, open_checkpoint
from fictile.checkpoint.files import content_hash, joined_hash
from fictile.checkpoint.folder import MODEL, VAE
from fictile.checkpoint.hub import resolve
from fictile.checkpoint.identify import own_words
from fictile.checkpoint.parts import Part
from fictile.checkpoint.shapes import Naming
from fictile.errors import RequestError
from fictile.latent import LatentSpace

ENCODER, DECODER = "encoder", "decoder"


def open_autoencoder(name: str | PathLike[str]) -> Checkpoint:
    """Open an autoencoder, alone or in what holds it: a file of it or of a whole model, a folder of diffusers, a model
    folder, or `hub:owner/name[/file]`. Of half a tiny one, the other half is taken along if it lies beside it under the
    same name with "decoder" for "encoder".

    Raises RequestError for what is missing or damaged, and where there is no autoencoder.
    """
    path = resolve(name)
    opened = open_checkpoint(path / VAE if (path / MODEL).is_file() else path)
    part = opened.parts.get("vae")
    if part is None:
        if opened.identity.problems:
            raise RequestError(opened.identity.problems[0])
        raise RequestError(
            f"{path} is {opened.identity.title} without an autoencoder in it; give one, or a model that has it."
        )
    return with_other_half(opened)


def read_autoencoder(
    opened: Checkpoint,
    normalisation: Normalisation | None = None,
    space: LatentSpace | None = None,
    *,
    network: AutoencoderNetwork | None = None,
) -> AnyAutoencoder:
    """The autoencoder in float32 on the CPU; units and space, where they are given, go before what it says itself. A
    `network` is one that has been made of it already.

    Without a space it names one of its own, after its encoder. Raises RequestError for tensors that are missing, too
    many or of another shape, and where nothing says its units.
    """
    part, title = opened.parts["vae"], autoencoder_name(opened)
    own = normalisation or opened.normalisation
    if own is None:
        raise RequestError(
            f"{opened.path} does not say in which units its latents are, and its network is {candidates(opened)}; "
            "say the latent space, or give the model that it belongs to."
        )
    network = network or cast(AutoencoderNetwork, part.build(torch.float32))
    return NormalisedAutoencoder(network, own, title, space or opened.space, content_hash=autoencoder_hash(opened))


def autoencoder_name(opened: Checkpoint) -> str:
    """What it calls itself, else the name of its file or folder."""
    own = own_words(opened.parts["vae"].weights.metadata).get("name")
    return str(own or (opened.path.stem if opened.path.is_file() else opened.path.resolve().name))


def autoencoder_hash(opened: Checkpoint) -> str:
    """SHA-256 of the files that it lies in, of several that of their hashes."""
    return joined_hash([content_hash(file) for file in sorted(set(opened.parts["vae"].weights.files))])


def candidates(opened: Checkpoint) -> str:
    """The published autoencoders that it may be, for people."""
    spaces = list(dict.fromkeys(known.space.id for known in opened.candidates))
    return f"that of {' or '.join(spaces)}" if spaces else "of a size that was never published"


def with_other_half(opened: Checkpoint) -> Checkpoint:
    """A tiny autoencoder of two files as one; anything else, and where the second is not there, as it was."""
    part = opened.parts["vae"]
    spec = part.spec
    if not isinstance(spec, TinySpec):
        return opened
    here, there = (ENCODER, DECODER) if spec.encodes else (DECODER, ENCODER)
    path = Path(part.weights.path)
    beside = path.with_name(path.name.replace(here, there))
    if (spec.encodes and spec.decodes) or here not in path.name or not beside.is_file():
        return opened
    other = open_checkpoint(beside).parts.get("vae")
    if other is None or other.spec != replace(spec, encodes=spec.decodes, decodes=spec.encodes):
        return opened
    whole = _joined(part, other, replace(spec, encodes=True, decodes=True))
    note = f"Its {there} is in {beside.name}, beside it."
    return replace(
        opened,
        identity=replace(opened.identity, notes=(*opened.identity.notes, note)),
        parts={**opened.parts, "vae": whole},
        files=whole.weights.files,
        size=whole.weights.size,
    )


def _joined(part: Part, other: Part, spec: TinySpec) -> Part:
    """Two halves as one network, under our names."""
    weights, more = part.weights, other.weights
    places = {
        ours: (half, half.take(ours).name)
        for half in (part, other)
        for ours in half.empty().state_dict()
        if half.take(ours).name in half.weights
    }

    def read(name: str, dtype: torch.dtype | None = None) -> Shaped[Tensor, "..."]:
        half, theirs = places[name]
        return half.weights.read(theirs, dtype)

    naming: Naming = "diffusers"
    return replace(
        part,
        spec=spec,
        naming=naming,
        weights=replace(
            weights,
            tensors={name: half.weights.tensors[theirs] for name, (half, theirs) in places.items()},
            size=weights.size + more.size,
            read=read,
            files=(*weights.files, *more.files),
        ),
    )
