"""How files name the tensors that our networks have: one function per convention, from our name to theirs.

Our names are those of diffusers and transformers. The other conventions are those of the code that the models were
trained with: latent-diffusion (LDM: Stable Diffusion 1 and 2; Stability's generative-models for XL) and open_clip.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.autoencoder import KLSpec
from fictile.checkpoint.weights import Weights
from fictile.denoiser import UNetSpec


@dataclass(frozen=True)
class Take:
    """Where one of our tensors is in a file: the name there, and what lies between the two.

    Matrices stored as 1x1 convolutions, and the reverse, need no mention: the shape that is expected says it.
    """

    name: str
    third: int | None = None  # which third of the rows, where query, key and value are stacked
    transposed: bool = False
    convolution: bool = False  # a matrix here, a 1x1 convolution there: for writing


Convention = Callable[[str], Take]


def plain(name: str) -> Take:
    """diffusers' and transformers' names are ours."""
    return Take(name)


def ldm_unet(spec: UNetSpec) -> Convention:
    """LDM counts its blocks through, over all levels (openaimodel.py): input_blocks, middle_block, output_blocks."""
    stride = spec.layers + 1

    def convention(name: str) -> Take:
        if match := re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name):
            way, kind, rest = match[1], match[3], match[5]
            block, j = int(match[2]), int(match[4])
            if kind == "downsamplers":
                return Take(f"input_blocks.{stride * (block + 1)}.0.{rest.replace('conv.', 'op.', 1)}")
            if kind == "upsamplers":
                attention = spec.up_depths[-1 - block]
                return Take(f"output_blocks.{stride * block + spec.layers}.{2 if attention else 1}.{rest}")
            place = f"input_blocks.{1 + stride * block + j}" if way == "down" else f"output_blocks.{stride * block + j}"
            return Take(f"{place}.0.{_ldm_resnet(rest)}" if kind == "resnets" else f"{place}.1.{rest}")
        if match := re.match(r"mid_block\.(\w+)\.(\d+)\.(.+)", name):
            return Take(
                f"middle_block.{2 * int(match[2])}.{_ldm_resnet(match[3])}"
                if match[1] == "resnets"
                else f"middle_block.1.{match[3]}"
            )
        return Take(_replaced(name, _LDM_UNET_ENDS))

    return convention


def ldm_kl(spec: KLSpec) -> Convention:
    """LDM's autoencoder (model.py): levels by their size, so that the decoder counts from the end."""
    deepest = len(spec.widths) - 1

    def convention(name: str) -> Take:
        if match := re.match(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
            if match[2] == "resnets":
                return Take(f"{match[1]}.mid.block_{int(match[3]) + 1}.{_ldm_shortcut(match[4])}")
            kind, _, parameter = match[4].rpartition(".")
            own = _LDM_ATTENTION[kind]
            return Take(f"{match[1]}.mid.attn_1.{own}.{parameter}", convolution=own != "norm" and parameter == "weight")
        if match := re.match(r"encoder\.down_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name):
            return Take(f"encoder.down.{match[1]}.{_ldm_level(match[2], match[3], match[4])}")
        if match := re.match(r"decoder\.up_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name):
            return Take(f"decoder.up.{deepest - int(match[1])}.{_ldm_level(match[2], match[3], match[4])}")
        return Take(name.replace("conv_norm_out", "norm_out"))

    return convention


def nested_kl(spec: KLSpec) -> Convention:
    """FLUX.2's (flux2/autoencoder.py): LDM's names, with each 1x1 convolution inside of its half."""
    plainly = ldm_kl(spec)

    return lambda name: plainly(re.sub(r"^(post_)?quant_conv\.", lambda match: _NESTED[match[0]], name))


def old_kl(name: str) -> Take:
    """diffusers' names before 0.15: attention with the words of its paper."""
    for new, old in _OLD_ATTENTION.items():
        name = re.sub(rf"(mid_block\.attentions\.0\.){re.escape(new)}\.", rf"\1{old}.", name)
    return Take(name)


def bare_clip(name: str) -> Take:
    """Without the prefix `text_model.`: some Stable Diffusion 1 files, and transformers 5."""
    return Take(name.removeprefix("text_model."))


def open_clip(name: str) -> Take:
    """open_clip's text tower: query, key and value stacked, the projection transposed."""
    if name == "text_projection.weight":
        return Take("text_projection", transposed=True)
    name = name.removeprefix("text_model.")
    if match := re.match(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", name):
        return Take(f"transformer.resblocks.{match[1]}.attn.in_proj_{match[3]}", third="qkv".index(match[2]))
    return Take(_replaced(name, _OPEN_CLIP))


def read_as(weights: Weights, take: Take, shape: tuple[int, ...], dtype: torch.dtype) -> Shaped[Tensor, "..."]:
    """One of our tensors out of a file, in memory of its own."""
    if take.third is None and not take.transposed:
        return weights.read(take.name, dtype).reshape(shape)
    tensor = weights.read(take.name)
    if take.third is not None:
        tensor = tensor.chunk(3)[take.third]
    if take.transposed:
        tensor = tensor.mT
    return tensor.to(dtype, copy=True, memory_format=torch.contiguous_format).reshape(shape)


def shape_in_file(take: Take, found: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a tensor of the file has once it is taken, but for the ones of a 1x1 convolution."""
    if take.third is not None:
        found = (found[0] // 3, *found[1:])
    return found[::-1] if take.transposed else found


def inverse(names: Iterable[str], convention: Convention) -> dict[str, list[str]]:
    """Their name -> those of ours that it is made of, in their order."""
    sources: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        take = convention(name)
        sources.setdefault(take.name, []).append((take.third or 0, name))
    return {theirs: [ours for _, ours in sorted(parts)] for theirs, parts in sources.items()}


def write_as(parts: list[Shaped[Tensor, "..."]], take: Take) -> Shaped[Tensor, "..."]:
    """The tensor of a file from those of ours that it is made of; `take` is the convention's word on any of them."""
    tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
    if take.transposed:
        tensor = tensor.mT
    if take.convolution:
        tensor = tensor[:, :, None, None]
    return tensor.contiguous()


def _replaced(name: str, table: Mapping[str, str]) -> str:
    """The name with its beginning, or a part between dots, as the table has it."""
    for ours, theirs in table.items():
        name = re.sub(rf"(^|\.){re.escape(ours)}(?=\.|$)", rf"\g<1>{theirs}", name)
    return name


def _ldm_resnet(rest: str) -> str:
    kind, _, parameter = rest.rpartition(".")
    return f"{_LDM_RESNET[kind]}.{parameter}"


def _ldm_shortcut(rest: str) -> str:
    return rest.replace("conv_shortcut", "nin_shortcut")


def _ldm_level(kind: str, index: str, rest: str) -> str:
    return f"block.{index}.{_ldm_shortcut(rest)}" if kind == "resnets" else f"{kind.removesuffix('rs')}.{rest}"


_NESTED: Mapping[str, str] = {"quant_conv.": "encoder.quant_conv.", "post_quant_conv.": "decoder.post_quant_conv."}
_LDM_RESNET: Mapping[str, str] = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_LDM_UNET_ENDS: Mapping[str, str] = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_LDM_ATTENTION: Mapping[str, str] = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
_OLD_ATTENTION: Mapping[str, str] = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
_OPEN_CLIP: Mapping[str, str] = {
    "embeddings.token_embedding": "token_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn": "attn",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "final_layer_norm": "ln_final",
}
