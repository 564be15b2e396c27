"""Autoencoders of other kinds than KL, told by the released network that their tensors fit best."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from fictile.autoencoder import KNOWN, DCSpec, KLSpec, Spec, TinySpec, WanSpec
from fictile.checkpoint.autoencoder_names import our_names
from fictile.checkpoint.shapes import Naming, kl_naming, tensor_shapes
from fictile.checkpoint.weights import Weights

ENOUGH = 0.9  # of a network's tensors have to be there in their shapes: one that is damaged is told too

# Tensors of which each file of the kind has one, under diffusers' names or those of the release.
_MARKS: Mapping[type[Spec], tuple[str, ...]] = {
    WanSpec: ("decoder.mid_block.resnets.0.norm1.gamma", "decoder.middle.0.residual.0.gamma"),
    DCSpec: (
        "decoder.norm_out.weight",
        "decoder.project_out.0.weight",
        "decoder.project_out.op_list.0.weight",
    ),
    TinySpec: (
        *(f"{half}.layers.{number}.conv.0.weight" for half in ("encoder", "decoder") for number in range(1, 10)),
        *(
            f"{start}{number}.conv.0.weight"
            for start in ("taesd_encoder.", "taesd_decoder.", "")
            for number in range(10)
        ),
    ),
}


def released_in(weights: Weights) -> tuple[Spec, Naming] | None:
    """The spec of the autoencoder that the file holds, of a tiny one perhaps of one half, and whose names it has."""
    kinds = [kind for kind, marks in _MARKS.items() if any(mark in weights for mark in marks)]
    names = weights.tensors
    specs = dict.fromkeys(there(entry.spec, names) for entry in KNOWN.values() if type(entry.spec) in kinds)
    fits = {spec: _fit(spec, weights) for spec in specs}
    best = max(fits, key=fits.__getitem__, default=None)
    if best is None or fits[best] < ENOUGH:
        return None
    return best, naming_in(best, weights)


def naming_in(spec: Spec, weights: Weights) -> Naming:
    """Whose names the tensors of an autoencoder of this spec have."""
    if isinstance(spec, KLSpec):
        return kl_naming(weights) or "diffusers"
    own = all(ours in ((), (theirs,)) for theirs, ours in our_names(spec, weights.tensors).items())
    return "diffusers" if own else "released"


def there(spec: Spec, names: Collection[str]) -> Spec:
    """The spec without the half that is not in the file."""
    if not isinstance(spec, TinySpec):
        return spec
    ours = [name for parts in our_names(spec, names).values() for name in parts]
    halves = {half: any(name.startswith(f"{half}.") for name in ours) for half in ("encoder", "decoder")}
    if not any(halves.values()):
        return spec
    return replace(spec, encodes=halves["encoder"], decodes=halves["decoder"])


def _fit(spec: Spec, weights: Weights) -> float:
    """The share of the network's tensors that the file has; one that holds several counts for each."""
    shapes = tensor_shapes(spec)
    found = {
        name
        for theirs, ours in our_names(spec, weights.tensors).items()
        for name in ours
        if _like(weights.tensors[theirs].shape, shapes.get(name), len(ours))
    }
    return len(found) / len(shapes)


def _like(shape: tuple[int, ...], wanted: tuple[int, ...] | None, parts: int) -> bool:
    """Whether a tensor of the file has the sizes of one of ours, or of several one above the other."""
    if wanted is None or not shape:
        return wanted == shape
    stacked = (shape[0] // parts, *shape[1:])
    return [side for side in stacked if side != 1] == [side for side in wanted if side != 1]
