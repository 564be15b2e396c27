"""The folders of diffusers (config.json and diffusion_pytorch_model.safetensors), written and read.

Parameters have the same names on both sides. What differs is the normalisation: diffusers' AutoencoderKL has one scale
and one shift for all channels, Fictile one of each per channel. On export it moves into the 1x1 convolutions around the
latent. An exported weight file also says what it is, as Fictile's own do, and so keeps its name and its latent space.
"""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from fictile.autoencoder import KL, AnyAutoencoder, KLAutoencoder, Network, Normalisation, NormalisedAutoencoder, as_kl
from fictile.checkpoint.assemble import batch_norm
from fictile.checkpoint.autoencoder_configs import CLASSES, autoencoder_config, autoencoder_part, normalisation_in
from fictile.checkpoint.autoencoder_configs import KL as KL_CLASS
from fictile.checkpoint.config_file import CONFIG, STEM, WEIGHTS, check_fixed, read_config, write_config
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.files import content_hash
from fictile.checkpoint.identify import own_words
from fictile.checkpoint.native import save_autoencoder, save_unet
from fictile.checkpoint.parts import Part
from fictile.checkpoint.read import find_weights
from fictile.checkpoint.shapes import unet_in
from fictile.denoiser import UNet, UNetSpec
from fictile.errors import RequestError
from fictile.files import made_folder
from fictile.latent import LatentSpace

MID_BLOCK, MID_BLOCK_ALONE = "UNetMidBlock2DCrossAttn", "UNetMidBlock2D"
UNET = "UNet2DConditionModel"  # `_class_name` in config.json

# What our U-Net is, where diffusers lets one choose. All of it is also diffusers' default.
_UNET_FIXED: Mapping[str, object] = {
    "act_fn": "silu",
    "attention_type": "default",
    "center_input_sample": False,
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "encoder_hid_dim_type": None,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "time_cond_proj_dim": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
}


def export_diffusers_autoencoder(
    autoencoder: AnyAutoencoder, folder: str | PathLike[str], dtype: torch.dtype = torch.float32
) -> None:
    """Write a folder that diffusers' `AutoencoderKL.from_pretrained` opens, with scaling_factor 1 and shift_factor 0.

    Raises RequestError for an autoencoder of another kind, and for a space-to-depth stem, a folded latent or a narrower
    decoder, which that class does not have; or for a place that cannot be written to.
    """
    autoencoder = as_kl(autoencoder)
    spec = autoencoder.network.spec
    patch = autoencoder.normalisation.patch
    units = Normalisation.identity(spec.channels * patch**2, patch)
    config = autoencoder_config(KL_CLASS, replace(spec, quant=True), units)
    path = made_folder(folder)
    save_autoencoder(fold_normalisation(autoencoder), path / WEIGHTS, dtype)
    write_config(path, config)


def export_diffusers_unet(network: UNet, folder: str | PathLike[str], dtype: torch.dtype = torch.float32) -> None:
    """Write a folder that diffusers' `UNet2DConditionModel.from_pretrained` opens.

    Raises RequestError for a middle that diffusers cannot say, or a place that cannot be written to.
    """
    config = unet_config(network.spec)
    path = made_folder(folder)
    save_unet(network, path / WEIGHTS, dtype)
    write_config(path, config)


def unet_config(spec: UNetSpec) -> dict[str, object]:
    """config.json of a `UNet2DConditionModel`. Raises RequestError for a middle that diffusers cannot say."""
    if spec.depth[-1] not in (0, spec.mid_depth) and spec.mid_depth:
        raise RequestError(
            f"The U-Net has {spec.mid_depth} transformer blocks in the middle and {spec.depth[-1]} in the deepest "
            "level, but diffusers writes one number for both; train one with equal numbers to export it."
        )
    return {
        "_class_name": UNET,
        **_UNET_FIXED,
        "in_channels": spec.in_channels,
        "out_channels": spec.out_channels,
        **_unet_blocks(spec),
        "block_out_channels": spec.widths,
        "layers_per_block": spec.layers,
        "norm_num_groups": spec.groups,
        "cross_attention_dim": spec.context_width,
        "transformer_layers_per_block": [*(depth or 1 for depth in spec.depth[:-1]), spec.mid_depth or spec.depth[-1]],
        **_unet_asymmetry(spec),
        "attention_head_dim": spec.heads,  # diffusers' name for the number of heads
        "use_linear_projection": spec.linear_projection,
        "addition_embed_type": "text_time" if spec.added_width else None,
        "addition_time_embed_dim": spec.added_time_width,
        "projection_class_embeddings_input_dim": spec.added_width,
    }


def load_diffusers_autoencoder(folder: str | PathLike[str]) -> AnyAutoencoder:
    """Read a folder of any of diffusers' autoencoders that Fictile has, in float32. Its normalisation is what
    config.json says; its name and space are its own when Fictile exported it, else the folder's name and a hash.

    Raises RequestError when the folder holds something else or a variant that Fictile does not have.
    """
    folder = Path(folder)
    config = read_config(folder)
    if config["_class_name"] not in CLASSES:
        known = ", ".join(CLASSES)
        raise RequestError(f"{folder} holds diffusers' {config['_class_name']}; give the folder of one of {known}.")
    part = autoencoder_part(folder, config)
    about = own_words(part.weights.metadata)
    return NormalisedAutoencoder(
        cast(Network, part.build(torch.float32)),
        normalisation_in(config, folder) or batch_norm(part.weights),
        name=str(about.get("name", folder.resolve().name)),
        space=from_json(LatentSpace, about["space"], f"the latent space in {folder / WEIGHTS}") if about else None,
        content_hash=content_hash(part.weights.path),
    )


def load_diffusers_unet(folder: str | PathLike[str]) -> UNet:
    """Read a diffusers `UNet2DConditionModel` folder, in float32.

    Raises RequestError when the folder holds something else or a variant that Fictile does not have.
    """
    folder = Path(folder)
    return cast(UNet, unet_part(folder, read_config(folder, UNET)).build(torch.float32))


def unet_part(folder: Path, config: Mapping[str, Any], variant: str | None = None) -> Part:
    """The U-Net of a folder as its configuration describes it; nothing is loaded.

    Raises RequestError when the weights are missing, or it is a variant that Fictile does not have.
    """
    check_fixed(config, _UNET_FIXED, folder)
    types = _listed(config, "down_block_types", ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"])
    depths = _per_level(config.get("transformer_layers_per_block", 1), len(types))
    fields = {
        "in_channels": config.get("in_channels", 4),
        "out_channels": config.get("out_channels", 4),
        "widths": config.get("block_out_channels", [320, 640, 1280, 1280]),
        "layers": config.get("layers_per_block", 2),
        "depth": [depth if "CrossAttn" in str(name) else 0 for name, depth in zip(types, depths, strict=False)],
        "up_depth": _up_depth(config, types),
        "mid_depth": _mid_depth(config, depths),
        "heads": _per_level(config.get("attention_head_dim", 8), len(types)),
        "context_width": config.get("cross_attention_dim", 1280),
        "linear_projection": config.get("use_linear_projection", False),
        "groups": config.get("norm_num_groups", 32),
    }
    if config.get("addition_embed_type") is not None:
        check_fixed(config, {"addition_embed_type": "text_time"}, folder)
        fields["added_time_width"] = config.get("addition_time_embed_dim")
        fields["added_width"] = config.get("projection_class_embeddings_input_dim")
    spec = from_json(UNetSpec, fields, str(folder / CONFIG))
    check_fixed(config, _unet_blocks(spec), folder)
    weights = find_weights(folder, STEM, variant)
    found = unet_in(weights)
    return Part(role="unet", spec=spec, naming=found[1] if found else "diffusers", weights=weights)


def fold_normalisation(autoencoder: KLAutoencoder) -> KLAutoencoder:
    """The same autoencoder with its normalisation inside the 1x1 convolutions, which it gets if it had none.

    With weight W, bias b, scale s and shift t per channel: mean' = s (W h + b - t), logvar' = W h + b + 2 log|s|, and
    the decoder reads W (z' / s + t) + b. (Log-variances are clamped after this, not before: nothing else differs.)
    """
    spec, state = autoencoder.network.spec, autoencoder.network.state_dict()
    scale = torch.tensor(autoencoder.normalisation.scale, dtype=torch.float64)
    shift = torch.tensor(autoencoder.normalisation.shift, dtype=torch.float64)
    weight, bias = _pointwise(state, "quant_conv", 2 * spec.channels)
    gain = torch.cat([scale, torch.ones_like(scale)])
    offset = torch.cat([-shift * scale, 2 * scale.abs().log()])
    state |= _as_convolution("quant_conv", gain[:, None] * weight, gain * bias + offset)
    weight, bias = _pointwise(state, "post_quant_conv", spec.channels)
    state |= _as_convolution("post_quant_conv", weight / scale, weight @ shift + bias)
    with torch.device("meta"):
        network = KL(replace(spec, quant=True))
    network.load_state_dict(state, assign=True)
    identity = Normalisation.identity(spec.channels)
    return KLAutoencoder(network, identity, autoencoder.name, autoencoder.space)


def _pointwise(state: Mapping[str, Tensor], name: str, channels: int) -> tuple[Tensor, Tensor]:
    """The matrix and the bias of a 1x1 convolution in float64; those that do nothing where there is none."""
    if f"{name}.weight" not in state:
        return torch.eye(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    return state[f"{name}.weight"].cpu().double().flatten(1), state[f"{name}.bias"].cpu().double()


def _as_convolution(name: str, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    return {f"{name}.weight": weight.float()[:, :, None, None], f"{name}.bias": bias.float()}


def _unet_blocks(spec: UNetSpec) -> dict[str, object]:
    kinds = ["CrossAttn" if depth else "" for depth in spec.depth]
    return {
        "down_block_types": [f"{kind}DownBlock2D" for kind in kinds],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(kinds)],
    }


def _unet_asymmetry(spec: UNetSpec) -> dict[str, object]:
    """What tells a U-Net without attention in the middle, or with other depths on the way up (SSD-1B, Vega)."""
    if spec.mid_depth:
        settings: dict[str, object] = {"mid_block_type": MID_BLOCK}
    else:
        settings = {"mid_block_type": MID_BLOCK_ALONE}
    if spec.up_depth is not None:
        settings["reverse_transformer_layers_per_block"] = [list(level) or 1 for level in reversed(spec.up_depth)]
    return settings


def _mid_depth(config: Mapping[str, Any], depths: list[Any]) -> int | None:
    if config.get("mid_block_type", MID_BLOCK) == MID_BLOCK_ALONE:
        return 0
    return depths[-1] if depths else None


def _up_depth(config: Mapping[str, Any], types: list[Any]) -> list[list[Any]] | None:
    """Finest first, as everything in a spec is; diffusers counts from the deepest."""
    given = config.get("reverse_transformer_layers_per_block")
    if not isinstance(given, list):
        return None
    levels = zip(types, reversed(cast(list[Any], given)), strict=False)
    count = config.get("layers_per_block", 2) + 1
    return [_per_level(depth, count) if "CrossAttn" in str(name) else [] for name, depth in levels]


def _listed(config: Mapping[str, Any], name: str, default: list[str]) -> list[Any]:
    value = config.get(name, default)
    if not isinstance(value, list) or not value:
        raise RequestError(f"{name} in {CONFIG} is {value!r}, but a list was expected; copy the folder again.")
    return cast(list[Any], value)


def _per_level(value: Any, levels: int) -> list[Any]:
    """diffusers writes one number for all levels, or a list."""
    return list(value) if isinstance(value, list) else [value] * levels
