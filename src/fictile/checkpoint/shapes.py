"""What a network is made of, told from the names and shapes of its tensors. Each function is given the weights of one
network, without a prefix, and returns its spec and the convention of its names, or None when they are of another kind.

Three things leave no trace in shapes. Attention heads are 8 per level in Stable Diffusion 1 and 64 wide in everything
since; group norms have 32 groups; and CLIP-L alone, 768 wide, has the quick GELU. A file that Fictile wrote says them.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain, count, takewhile
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fictile.autoencoder import KLSpec, TinySpec, WanSpec, make_network
from fictile.autoencoder import Network as AutoencoderNetwork
from fictile.autoencoder import Spec as AutoencoderSpec
from fictile.checkpoint.autoencoder_names import released_name
from fictile.checkpoint.keys import Convention, Take, bare_clip, ldm_kl, ldm_unet, nested_kl, old_kl, open_clip, plain
from fictile.checkpoint.weights import Weights
from fictile.denoiser import UNet, UNetSpec
from fictile.errors import RequestError
from fictile.text import TextSpec, TextTransformer

# "released" are the names that an autoencoder of another kind than KL was released with (`autoencoder_names.py`).
Naming = Literal[
    "diffusers", "old diffusers", "ldm", "nested ldm", "transformers", "bare transformers", "open_clip", "released"
]
Spec = UNetSpec | AutoencoderSpec | TextSpec
Network = UNet | AutoencoderNetwork | TextTransformer
Shape = Callable[[str], tuple[int, ...] | None]

HEADS, HEAD_WIDTH, GROUPS = 8, 64, 32
SIZE_WIDTH = 256  # SDXL's: features of each size number (generative-models, sd_xl_base.yaml)
UNCLIP_CONTEXT = 1024  # of Stable Diffusion 2, whose unCLIP variant names its class embedding as XL names its added one
_MOST = 8  # levels that are looked for
_SPARE = 4  # networks of one model


def convention(naming: Naming, spec: Spec) -> Convention:
    """The function from our names to those of a file."""
    if naming == "ldm":
        return ldm_unet(spec) if isinstance(spec, UNetSpec) else ldm_kl(spec) if isinstance(spec, KLSpec) else plain
    if naming == "nested ldm" and isinstance(spec, KLSpec):
        return nested_kl(spec)
    if naming == "released" and isinstance(spec, TinySpec | WanSpec):
        return lambda name: Take(released_name(spec, name))
    return {"old diffusers": old_kl, "bare transformers": bare_clip, "open_clip": open_clip}.get(naming, plain)


class _Unfilled(TorchFunctionMode):
    """Leaves out what fills a new tensor with random numbers: without memory there is nothing to fill."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLS or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


_FILLS = frozenset((Tensor.uniform_, Tensor.normal_, Tensor.fill_, Tensor.zero_))
_spare: dict[Spec, Network] = {}  # made to see its shapes, and not taken yet


def empty_network(spec: Spec) -> Network:
    """The network that a spec describes, without memory; the caller's own."""
    if spare := _spare.pop(spec, None):
        return spare
    with torch.device("meta"), _Unfilled():
        if isinstance(spec, UNetSpec):
            return UNet(spec)
        return TextTransformer(spec) if isinstance(spec, TextSpec) else make_network(spec)


@lru_cache(maxsize=64)  # a model is looked through when it is identified and again when it is loaded
def tensor_shapes(spec: Spec) -> Mapping[str, tuple[int, ...]]:
    """The tensors of that network."""
    network = empty_network(spec)
    if len(_spare) < _SPARE:
        _spare[spec] = network
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def unet_in(weights: Weights) -> tuple[UNetSpec, Naming] | None:
    """A U-Net of the Stable Diffusion family, with diffusers' or LDM's names."""
    if "conv_in.weight" in weights and "mid_block.resnets.0.time_emb_proj.weight" in weights:
        naming: Naming = "diffusers"
        layers = max(_count(weights.shape, f"down_blocks.{level}.resnets.{{}}.conv2.weight") for level in range(_MOST))
    elif "input_blocks.0.0.weight" in weights and "middle_block.0.in_layers.2.weight" in weights:
        naming, layers = "ldm", _ldm_layers(weights.shape)
    else:
        return None
    names = convention(naming, UNetSpec(layers=max(layers, 1)))

    def shape(name: str) -> tuple[int, ...] | None:
        return weights.shape(names(name).name)

    def depth(place: str) -> int:
        return _count(shape, place + ".transformer_blocks.{}.norm1.weight")

    def width(level: int) -> int:
        return max((_rows(shape, f"down_blocks.{level}.resnets.{j}.conv2.weight") for j in range(layers)), default=0)

    found = max((level + 1 for level in range(_MOST) if width(level)), default=0)
    levels = range(found)
    # A level's first block may be missing: its width is also that of the way up, its depth that of its other blocks.
    widths = tuple(
        width(level) or _rows(shape, f"up_blocks.{found - 1 - level}.resnets.0.conv2.weight") for level in levels
    )
    places = {level: [f"down_blocks.{level}.attentions.{j}" for j in range(layers)] for level in levels}
    depths = tuple(max(map(depth, places[level])) for level in levels)
    up = tuple(
        tuple(depth(f"up_blocks.{block}.attentions.{j}") for j in range(layers + 1)) if depths[-1 - block] else ()
        for block in reversed(levels)
    )
    attention = next(filter(depth, ["mid_block.attentions.0", *chain(*places.values())]), "")
    linear = len(shape(f"{attention}.proj_in.weight") or ()) == 2
    context = shape(f"{attention}.transformer_blocks.0.attn2.to_k.weight")
    unclip = context is not None and context[1] == UNCLIP_CONTEXT  # its label_emb takes an image, not XL's sizes
    added = None if unclip else shape("add_embedding.linear_1.weight")
    same = up == tuple((number,) * (layers + 1) if number else () for number in depths)
    try:
        return UNetSpec(
            in_channels=(shape("conv_in.weight") or (0, 0))[1],
            out_channels=_rows(shape, "conv_out.weight"),
            widths=widths,
            layers=layers,
            depth=depths,
            mid_depth=depth("mid_block.attentions.0"),
            heads=tuple(max(width // HEAD_WIDTH, 1) if linear else HEADS for width in widths),
            context_width=context[1] if context else 0,
            linear_projection=linear,
            groups=GROUPS,
            added_time_width=SIZE_WIDTH if added else None,
            added_width=added[1] if added else None,
            up_depth=None if same else up,
        ), naming
    except (RequestError, IndexError):
        return None  # something that has only some names in common


def kl_in(weights: Weights) -> tuple[KLSpec, Naming] | None:
    """A KL autoencoder for pictures, with LDM's names (FLUX.2's with its 1x1 convolutions inside the halves),
    diffusers', or those of diffusers before 0.15.
    """
    naming = kl_naming(weights)
    if naming is None:
        return None
    names = convention(naming, KLSpec())

    def shape(name: str) -> tuple[int, ...] | None:
        return weights.shape(names(name).name)

    first, latent = shape("encoder.conv_in.weight"), shape("decoder.conv_in.weight")
    if not (first and latent and len(first) == len(latent) == 4):
        return None  # of video, or only one half
    levels = range(_count(shape, "encoder.down_blocks.{}.resnets.0.conv2.weight"))
    widths = tuple(_rows(shape, f"encoder.down_blocks.{level}.resnets.0.conv2.weight") for level in levels)
    names = convention(naming, KLSpec(widths=widths or (GROUPS,), groups=1))  # LDM counts levels from the other end
    back = tuple(_rows(shape, f"decoder.up_blocks.{level}.resnets.0.conv2.weight") for level in reversed(levels))
    try:
        return KLSpec(
            widths=widths,
            decoder_widths=back if all(back) and back != widths else None,
            layers=_count(shape, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
            channels=latent[1],
            groups=GROUPS,
            quant=shape("quant_conv.weight") is not None,
            mid_attention=shape("encoder.mid_block.attentions.0.group_norm.weight") is not None,
            stem=round((first[1] / 3) ** 0.5),
        ), naming
    except RequestError:
        return None


def kl_naming(weights: Weights) -> Naming | None:
    """Whose names the tensors of a KL autoencoder have."""
    if "encoder.down.0.block.0.conv1.weight" in weights:
        return "nested ldm" if "encoder.quant_conv.weight" in weights else "ldm"
    if "encoder.down_blocks.0.resnets.0.conv1.weight" in weights:
        return "old diffusers" if "encoder.mid_block.attentions.0.query.weight" in weights else "diffusers"
    return None


def text_in(weights: Weights) -> tuple[TextSpec, Naming] | None:
    """A text transformer of CLIP, with transformers' names (with or without `text_model.`) or open_clip's."""
    if "text_model.embeddings.token_embedding.weight" in weights:
        naming: Naming = "transformers"
    elif "embeddings.token_embedding.weight" in weights:
        naming = "bare transformers"
    elif "token_embedding.weight" in weights and "positional_embedding" in weights:
        naming = "open_clip"
    else:
        return None
    names = convention(naming, TextSpec())

    def shape(name: str) -> tuple[int, ...] | None:
        return weights.shape(names(name).name)

    tokens, places = (shape(f"text_model.embeddings.{kind}_embedding.weight") for kind in ("token", "position"))
    projection = shape("text_projection.weight")
    if not (tokens and places):
        return None
    small = tokens[1] <= 768 and naming != "open_clip"
    try:
        return TextSpec(
            vocabulary=tokens[0],
            width=tokens[1],
            layers=_count(shape, "text_model.encoder.layers.{}.layer_norm1.weight"),
            heads=max(tokens[1] // HEAD_WIDTH, 1),
            context=places[0],
            activation="quick_gelu" if small else "gelu",
            projection=projection[1 if naming == "open_clip" else 0] if projection else None,
            begin=tokens[0] - 2,
            end=tokens[0] - 1,
            pad=tokens[0] - 1 if small else 0,
        ), naming
    except RequestError:
        return None


def _ldm_layers(shape: Shape) -> int:
    """Residual blocks of a level: those before the first halving; of a single level, all."""
    halving = (index for index in range(1, _MOST) if shape(f"input_blocks.{index}.0.op.weight"))
    return next((index - 1 for index in halving), 0) or sum(
        shape(f"input_blocks.{index}.0.out_layers.3.weight") is not None for index in range(1, _MOST)
    )


def _count(shape: Shape, pattern: str) -> int:
    """How many names of the pattern there are in a row."""
    return sum(1 for _ in takewhile(lambda index: shape(pattern.format(index)) is not None, count()))


def _rows(shape: Shape, name: str) -> int:
    found = shape(name)
    return found[0] if found else 0
