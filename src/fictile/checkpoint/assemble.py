"""A published autoencoder from tensors of any file and any of its namings."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.autoencoder import (
    AnyAutoencoder,
    Known,
    Network,
    Normalisation,
    NormalisedAutoencoder,
    Spec,
    TinySpec,
    make_network,
)
from fictile.autoencoder.known import FLUX2_EPSILON, FLUX2_PATCH
from fictile.checkpoint.autoencoder_names import our_names
from fictile.checkpoint.fields import few
from fictile.errors import RequestError

Reader = Callable[[str], Shaped[Tensor, "..."]]

_COUNT = "num_batches_tracked"  # a batch norm's; it matters only to training, and some files leave it out


def assemble_autoencoder(
    known: Known, names: Collection[str], read: Reader, *, where: str, content_hash: str | None = None
) -> AnyAutoencoder:
    """The autoencoder in float32 on the CPU, in evaluation mode, its tensors read one by one.

    `names` are those of a file (or of a pair of files, together), as they were released or as diffusers has them; other
    tensors must have been left out. KL autoencoders are taken with diffusers' names. Of a tiny autoencoder, one half
    is enough. `where` names the file in messages.

    Raises RequestError when tensors are missing, unexpected or of another shape.
    """
    spec = _there(known.spec, names)
    return NormalisedAutoencoder(
        _network(spec, names, read, where),
        known.normalisation or batch_norm(read, names, where),
        known.name,
        known.space,
        content_hash=content_hash,
    )


def batch_norm(read: Reader, names: Collection[str], where: str) -> Normalisation:
    """The normalisation that a file of FLUX.2's autoencoder carries. Raises RequestError when it is not there."""
    statistics = ("bn.running_mean", "bn.running_var")
    if missing := [name for name in statistics if name not in names]:
        raise RequestError(
            f"{where} lacks {few(missing)}, which say how its latents are normalised; get the whole autoencoder."
        )
    mean, variance = (read(name).double().tolist() for name in statistics)
    return Normalisation.batch_norm(mean, variance, FLUX2_EPSILON, FLUX2_PATCH)


def _there(spec: Spec, names: Collection[str]) -> Spec:
    """The spec without the half that is not in the file."""
    if not isinstance(spec, TinySpec):
        return spec
    ours = [name for parts in our_names(spec, names).values() for name in parts]
    halves = {half: any(name.startswith(f"{half}.") for name in ours) for half in ("encoder", "decoder")}
    if not any(halves.values()):
        return spec
    return replace(spec, encodes=halves["encoder"], decodes=halves["decoder"])


def _network(spec: Spec, names: Collection[str], read: Reader, where: str) -> Network:
    with torch.device("meta"):
        network = make_network(spec)
    expected = network.state_dict()
    parts = our_names(spec, names)
    _check(expected, [name for ours in parts.values() for name in ours], where)
    state = {name: torch.zeros((), dtype=torch.long) for name in expected if name.endswith(_COUNT)}
    for theirs, ours in parts.items():
        if len(ours) == 1:
            state[ours[0]] = _fitted(read(theirs), expected[ours[0]], f"{theirs} in {where}")
        elif ours:
            for name, part in zip(ours, read(theirs).chunk(len(ours)), strict=True):
                state[name] = _fitted(part, expected[name], f"{theirs} in {where}")
    network.load_state_dict(state, assign=True)
    return network.eval()


def _check(expected: Iterable[str], given: Iterable[str], where: str) -> None:
    expected, given = set(expected), set(given)
    missing = sorted(name for name in expected - given if not name.endswith(_COUNT))
    unexpected = sorted(given - expected)
    if missing or unexpected:
        problems = [f"{what} {few(names)}" for what, names in (("lacks", missing), ("has", unexpected)) if names]
        raise RequestError(
            f"{where} is no whole autoencoder of this kind: it {' and '.join(problems)}; get another copy."
        )


def _fitted(tensor: Tensor, like: Tensor, where: str) -> Tensor:
    """The tensor in the shape and the type of ours; a matrix may have been stored as a 1x1 convolution."""
    squeezed = [side for side in tensor.shape if side != 1]
    if squeezed != [side for side in like.shape if side != 1]:
        raise RequestError(
            f"{where} is {tuple(tensor.shape)}, not {tuple(like.shape)}; give an autoencoder of the kind named."
        )
    return tensor.reshape(like.shape).to(like.dtype, copy=True)
