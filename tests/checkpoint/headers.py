"""Headers of released files, made from what their networks are: names and shapes in full size, and not one weight.

They are remembered, since many tests look at the same ones: change copies only.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch

from fictile.autoencoder import KLSpec
from fictile.checkpoint import Weights
from fictile.checkpoint.header import TensorInfo
from fictile.checkpoint.keys import Convention, inverse, ldm_kl, ldm_unet, open_clip, plain, write_as
from fictile.checkpoint.shapes import Spec, tensor_shapes
from fictile.denoiser import UNetSpec
from fictile.text import CLIP_L, OPENCLIP_G, OPENCLIP_H, TextSpec

Shapes = dict[str, tuple[int, ...]]


@cache
def shapes(spec: Spec, convention: Convention, prefix: str = "") -> Shapes:
    """The tensors of a network under the names of a convention."""
    state = {name: torch.empty(shape, device="meta") for name, shape in tensor_shapes(spec).items()}
    return {
        prefix + theirs: tuple(write_as([state[name] for name in ours], convention(ours[0])).shape)
        for theirs, ours in inverse(state, convention).items()
    }


@cache
def unet(spec: UNetSpec, prefix: str = "model.diffusion_model.") -> Shapes:
    """A U-Net with LDM's names."""
    return shapes(spec, ldm_unet(spec), prefix)


@cache
def vae(spec: KLSpec | None = None, prefix: str = "first_stage_model.") -> Shapes:
    """A KL autoencoder with LDM's names."""
    spec = spec or KLSpec()
    return shapes(spec, ldm_kl(spec), prefix)


@cache
def text(spec: TextSpec, prefix: str) -> Shapes:
    """A text encoder, with the names that its place has."""
    return shapes(spec, open_clip if prefix.endswith(".model.") else plain, prefix)


def clip_l(prefix: str = "cond_stage_model.transformer.") -> Shapes:
    """OpenAI's, with the counter that old files have, which is no weight."""
    return {**text(CLIP_L, prefix), f"{prefix}text_model.embeddings.position_ids": (1, 77)}


def clip_h() -> Shapes:
    """open_clip's, as Stable Diffusion 2 has it: with a last layer and a projection that nothing reads."""
    prefix = "cond_stage_model.model."
    return {**text(OPENCLIP_H, prefix), f"{prefix}text_projection": (1024, 1024), f"{prefix}logit_scale": ()}


def clip_g(prefix: str = "conditioner.embedders.1.model.") -> Shapes:
    """open_clip's largest."""
    return {**text(OPENCLIP_G, prefix), f"{prefix}logit_scale": ()}


def weights(
    tensors: Shapes, metadata: Mapping[str, str] | None = None, values: Mapping[str, torch.Tensor] | None = None
) -> Weights:
    """A file of these tensors in float16, of which only `values` can be read."""
    return Weights(
        path=Path("model.safetensors"),
        format="safetensors",
        tensors={name: TensorInfo(dtype="F16", shape=shape) for name, shape in tensors.items()},
        metadata=metadata or {},
        size=0,
        read=lambda name, dtype=None: (values or {})[name].to(dtype),
        files=(),
    )
