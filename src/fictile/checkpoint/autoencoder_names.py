"""What other programs call the tensors of an autoencoder, and what they are called here.

Our names are diffusers'. The others are those that the tiny, the Wan and the DC-AE autoencoders were released with.
"""

import re
from collections.abc import Collection, Mapping
from typing import Literal

from fictile.autoencoder import DCSpec, KLSpec, Spec, TinySpec, WanSpec

Half = Literal["encoder", "decoder"]


def our_names(spec: Spec, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """For each name in a file, ours: several where the tensor holds several of ours one above the other, none where it
    holds none. A name that is not known stays as it is.
    """
    match spec:
        case TinySpec():
            half = bare_half(names)
            return {name: _tiny(name, half) for name in names}
        case WanSpec():
            return {name: (_wan(name, spec),) for name in names}
        case DCSpec():
            return {name: _dc(name, spec) for name in names}
        case KLSpec():
            return {name: () if name.startswith("bn.") else (name,) for name in names}


def released_name(spec: TinySpec | WanSpec, name: str) -> str:
    """The way back for a whole autoencoder: what its release calls a tensor of ours."""
    if isinstance(spec, TinySpec):
        match = re.match(r"(encoder|decoder)\.layers\.(\d+)\.(.+)", name)
        return f"taesd_{match[1]}.{int(match[2]) + (match[1] == 'decoder')}.{match[3]}" if match else name
    if match := re.match(r"decoder\.up_blocks\.(\d+)\.(resnets\.(\d+)|upsamplers\.0)\.(.+)", name):
        place = int(match[3]) if match[3] else spec.layers + 1
        name = f"decoder.upsamples.{int(match[1]) * (spec.layers + 2) + place}.{match[4]}"
    return _replaced(name, _TO_WAN)


def bare_half(names: Collection[str]) -> Half | None:
    """Which half of a tiny autoencoder a file holds whose names are mere numbers; None if they are not.

    taesd's encoder begins with a convolution, its decoder with a clamp, which has no weights.
    """
    if not all(re.match(r"\d+\.", name) for name in names):
        return None
    return "encoder" if "0.weight" in names else "decoder"


def _tiny(name: str, half: Half | None) -> tuple[str, ...]:
    """taesd.py counts the layers of both halves; so does diffusers, but for the decoder's clamp."""
    if name in ("vae_scale", "vae_shift"):  # of ComfyUI, whose latents are raw: here they are in model units
        return ()
    name = f"taesd_{half}.{name}" if half else name
    if match := re.match(r"taesd_(encoder|decoder)\.(\d+)\.(.+)", name):
        number = int(match[2]) - (match[1] == "decoder")
        return (f"{match[1]}.layers.{number}.{match[3]}",)
    return (name,)


def _wan(name: str, spec: WanSpec) -> str:
    """Wan's own names (wan/modules/vae.py), where the decoder's levels stand in one list."""
    if match := re.match(r"decoder\.upsamples\.(\d+)\.(.+)", name):
        level, place = divmod(int(match[1]), spec.layers + 2)  # the decoder's blocks, and the doubling after them
        part = "upsamplers.0" if place > spec.layers else f"resnets.{place}"
        name = f"decoder.up_blocks.{level}.{part}.{match[2]}"
    return _replaced(name, _WAN)


def _dc(name: str, spec: DCSpec) -> tuple[str, ...]:
    """The names of the code that DC-AE was released with (efficientvit/models/efficientvit/dc_ae.py)."""
    short = re.sub(r"\b(main|op_list)\.", "", name)
    if match := re.match(r"(.+)\.context_module\.qkv\.conv\.weight", _replaced(short, _DC_STAGES)):
        return tuple(f"{match[1]}.attn.to_{part}.weight" for part in "qkv")
    ours = _replaced(short, {**_DC_STAGES, **_DC})
    if not spec.encoder_layers[0]:  # the first and the last layer resample
        ours = re.sub(r"^(encoder\.conv_in|decoder\.conv_out)\.(?!conv\.)", r"\1.conv.", ours)
    return (ours,)


def _replaced(name: str, pairs: Mapping[str, str]) -> str:
    for pattern, ours in pairs.items():
        name = re.sub(pattern, ours, name)
    return name


_WAN: Mapping[str, str] = {
    r"^conv1\.": "quant_conv.",
    r"^conv2\.": "post_quant_conv.",
    r"^(encoder|decoder)\.conv1\.": r"\1.conv_in.",
    r"\.head\.0\.": ".norm_out.",
    r"\.head\.2\.": ".conv_out.",
    r"\.downsamples\.": ".down_blocks.",
    r"\.middle\.0\.": ".mid_block.resnets.0.",
    r"\.middle\.1\.": ".mid_block.attentions.0.",
    r"\.middle\.2\.": ".mid_block.resnets.1.",
    r"\.residual\.0\.": ".norm1.",
    r"\.residual\.2\.": ".conv1.",
    r"\.residual\.3\.": ".norm2.",
    r"\.residual\.6\.": ".conv2.",
    r"\.shortcut\.": ".conv_shortcut.",
}
_TO_WAN: Mapping[str, str] = {
    r"\.norm1\.": ".residual.0.",
    r"\.conv1\.": ".residual.2.",
    r"\.norm2\.": ".residual.3.",
    r"\.conv2\.": ".residual.6.",
    r"\.conv_shortcut\.": ".shortcut.",
    r"^quant_conv\.": "conv1.",
    r"^post_quant_conv\.": "conv2.",
    r"^(encoder|decoder)\.conv_in\.": r"\1.conv1.",
    r"\.norm_out\.": ".head.0.",
    r"\.conv_out\.": ".head.2.",
    r"\.down_blocks\.": ".downsamples.",
    r"\.mid_block\.resnets\.0\.": ".middle.0.",
    r"\.mid_block\.attentions\.0\.": ".middle.1.",
    r"\.mid_block\.resnets\.1\.": ".middle.2.",
}
_DC_STAGES: Mapping[str, str] = {
    r"^encoder\.stages\.": "encoder.down_blocks.",
    r"^decoder\.stages\.": "decoder.up_blocks.",
}
_DC: Mapping[str, str] = {
    r"\.context_module\.aggreg\.(\d+)\.0\.": r".attn.to_qkv_multiscale.\1.proj_in.",
    r"\.context_module\.aggreg\.(\d+)\.1\.": r".attn.to_qkv_multiscale.\1.proj_out.",
    r"\.context_module\.proj\.conv\.": ".attn.to_out.",
    r"\.context_module\.proj\.norm\.": ".attn.norm_out.",
    r"\.local_module\.inverted_conv\.conv\.": ".conv_out.conv_inverted.",
    r"\.local_module\.depth_conv\.conv\.": ".conv_out.conv_depth.",
    r"\.local_module\.point_conv\.conv\.": ".conv_out.conv_point.",
    r"\.local_module\.point_conv\.norm\.": ".conv_out.norm.",
    r"\.conv1\.conv\.": ".conv1.",
    r"\.conv2\.conv\.": ".conv2.",
    r"\.conv2\.norm\.": ".norm.",
    r"\.conv\.conv\.": ".conv.",
    r"^encoder\.project_in\.conv\.": "encoder.conv_in.",
    r"^encoder\.project_out\.0\.conv\.": "encoder.conv_out.",
    r"^decoder\.project_in\.conv\.": "decoder.conv_in.",
    r"^decoder\.project_out\.0\.": "decoder.norm_out.",
    r"^decoder\.project_out\.2\.conv\.": "decoder.conv_out.",
}
