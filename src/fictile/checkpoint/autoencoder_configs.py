"""Autoencoders in diffusers' folders: each of its classes as a spec and a normalisation, and back.

A configuration is read by the numbers that make a spec, and then has to agree with all that would be written of it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fictile.autoencoder import WAN21, DCSpec, KLSpec, Normalisation, Spec, TinySpec, WanSpec
from fictile.autoencoder.known import FLUX2_EPSILON, FLUX2_PATCH
from fictile.checkpoint.assemble import STATISTICS
from fictile.checkpoint.config_file import CONFIG, STEM, check_fixed
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.parts import Part
from fictile.checkpoint.read import find_weights
from fictile.checkpoint.released import naming_in
from fictile.errors import RequestError

KL, FLUX2, DC, WAN, QWEN, TINY = (
    "AutoencoderKL", "AutoencoderKLFlux2", "AutoencoderDC", "AutoencoderKLWan", "AutoencoderKLQwenImage",
    "AutoencoderTiny",
)  # fmt: skip
KL_SCALE = 0.18215  # diffusers' default, for configurations that are older than the field

Config = Mapping[str, Any]


def autoencoder_part(folder: Path, config: Config, variant: str | None = None) -> Part:
    """The autoencoder of a folder as its configuration describes it; nothing is loaded.

    Raises RequestError when the weights are missing, or it is a variant that Fictile does not have.
    """
    kind = CLASSES[str(config["_class_name"])]
    try:
        fields = kind.fields(config)
    except (ArithmeticError, LookupError, TypeError):
        raise RequestError(f"{folder / CONFIG} is damaged: its numbers do not fit together; copy it again.") from None
    spec = from_json(kind.spec, _as_json(fields), str(folder / CONFIG))
    check_fixed(config, kind.config(spec), folder)
    weights = find_weights(folder, STEM, variant)
    name = str(config["_class_name"])
    return Part(role="vae", spec=spec, naming=naming_in(spec, weights), weights=weights, class_name=name)


def class_of(part: Part) -> str:
    """The class of diffusers that an autoencoder is: the one that is said, else the one that its network shows."""
    possible = [name for name, one in CLASSES.items() if one.spec is type(part.spec)]
    if part.class_name in possible:
        return part.class_name
    if isinstance(part.spec, KLSpec) and all(name in part.weights for name in STATISTICS):
        return FLUX2
    return possible[0]


def normalisation_in(config: Config, folder: Path) -> Normalisation | None:
    """What an autoencoder's configuration says of its latents, which diffusers applies outside of the autoencoder:
    (raw - shift_factor) * scaling_factor; with latents_mean and latents_std, (raw - mean) * scaling_factor / std.
    FLUX.2's is in its weights: None.
    """
    name = str(config["_class_name"])
    if name == FLUX2:
        return None
    own = WAN21.normalisation if name in (WAN, QWEN) else None
    channels = config.get("latent_channels", config.get("z_dim", CLASSES[name].spec().channels))
    scale = config.get("scaling_factor", KL_SCALE if name == KL else None) or 1.0
    mean = config.get("latents_mean") or (own and own.shift) or [config.get("shift_factor") or 0.0] * channels
    std = config.get("latents_std") or (own and [1 / scale for scale in own.scale]) or [1.0] * channels
    try:
        return Normalisation(tuple(scale / deviation for deviation in std), tuple(map(float, mean)))
    except (ArithmeticError, TypeError, ValueError):
        raise RequestError(
            f"{folder / CONFIG} has a normalisation that is not made of numbers; copy it again."
        ) from None


def autoencoder_config(
    name: str, spec: Spec, normalisation: Normalisation | None, *, upcast: bool = False
) -> dict[str, object]:
    """config.json of an autoencoder, as the class of diffusers called `name`; `upcast` says that it overflows in
    float16.

    Raises RequestError for what no class of diffusers is: one that folds its pixels or, but for FLUX.2's, its latents,
    half a tiny one, or one with parts that only taesd.py has.
    """
    normalisation = normalisation or Normalisation.identity(spec.channels)
    if lacking := _not_in_diffusers(name, spec, normalisation):
        raise RequestError(f"This autoencoder {lacking}, and diffusers has no such {name}; keep it as a single file.")
    kept = {"force_upcast": upcast} if name == KL else {}
    return {"_class_name": name, **CLASSES[name].config(spec), **_units(name, normalisation), **kept}


def _not_in_diffusers(name: str, spec: Spec, normalisation: Normalisation) -> str | None:
    """What an autoencoder has that the class does not."""
    match spec:
        case KLSpec() if spec.stem > 1:
            return f"folds its pixels by {spec.stem} (stem)"
        case KLSpec() if name == KL and spec.decoder_widths not in (None, spec.widths):
            return "has a decoder of other widths than its encoder"
        case TinySpec() if not (spec.encodes and spec.decodes):
            return "is one half only"
        case TinySpec() if spec.pool or spec.stem_widths:
            return "has blocks of its own kind"
        case _:
            return "folds its latents" if normalisation.patch > 1 and name != FLUX2 else None


def _units(name: str, normalisation: Normalisation) -> dict[str, object]:
    """The normalisation in the words of a class."""
    if name == FLUX2:
        return {}
    deviations = [1 / scale for scale in normalisation.scale]
    if name in (WAN, QWEN):
        return {"latents_mean": list(normalisation.shift), "latents_std": deviations}
    same = len(set(normalisation.scale)) == len(set(normalisation.shift)) == 1
    scalars: dict[str, object] = {"scaling_factor": normalisation.scale[0] if same else 1.0}
    if name != DC:
        scalars["shift_factor"] = normalisation.shift[0] if same else 0.0
    if name == KL:
        scalars["latents_mean"] = None if same else list(normalisation.shift)
        scalars["latents_std"] = None if same else deviations
    elif not same:
        raise RequestError(f"diffusers' {name} has one scale for all channels; keep the autoencoder as a single file.")
    return scalars


def _kl_fields(config: Config) -> dict[str, Any]:
    return {
        "widths": config.get("block_out_channels", [64]),
        "layers": config.get("layers_per_block", 1),
        "channels": config.get("latent_channels", 4),
        "groups": config.get("norm_num_groups", 32),
        "quant": config.get("use_quant_conv", True),
        "mid_attention": config.get("mid_block_add_attention", True),
    }


def _kl_config(spec: KLSpec) -> dict[str, object]:
    levels = len(spec.widths)
    return {
        "in_channels": 3,
        "out_channels": 3,
        "act_fn": "silu",
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": list(spec.widths),
        "layers_per_block": spec.layers,
        "latent_channels": spec.channels,
        "norm_num_groups": spec.groups,
        "mid_block_add_attention": spec.mid_attention,
        "use_quant_conv": spec.quant,
        "use_post_quant_conv": spec.quant,
    }


def _flux2_fields(config: Config) -> dict[str, Any]:
    defaults = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 32}
    return {**_kl_fields({**defaults, **config}), "decoder_widths": config.get("decoder_block_out_channels")}


def _flux2_config(spec: KLSpec) -> dict[str, object]:
    return {
        **_kl_config(spec),
        "decoder_block_out_channels": spec.decoder_widths and list(spec.decoder_widths),
        "batch_norm_eps": FLUX2_EPSILON,
        "patch_size": [FLUX2_PATCH] * 2,
    }


def _dc_fields(config: Config) -> dict[str, Any]:
    standard = DCSpec()
    widths = config.get("encoder_block_out_channels", standard.widths)
    blocks = _per_level(config.get("encoder_block_types", "ResBlock"), len(widths))
    norms = _per_level(config.get("decoder_norm_types", "rms_norm"), len(widths))
    return {
        "channels": config.get("latent_channels", standard.channels),
        "widths": widths,
        "encoder_layers": config.get("encoder_layers_per_block", standard.encoder_layers),
        "decoder_layers": config.get("decoder_layers_per_block", standard.decoder_layers),
        "residual_levels": blocks.count("ResBlock"),
        "head_width": config.get("attention_head_dim", standard.head_width),
        "kernels": config.get("encoder_qkv_multiscales", [standard.kernels])[-1],
        "fold": config.get("downsample_block_type", "pixel_unshuffle") == "pixel_unshuffle",
        "batch_norm": norms[0] == "batch_norm",
    }


def _dc_config(spec: DCSpec) -> dict[str, object]:
    levels = range(len(spec.widths))
    residual = [level < spec.residual_levels for level in levels]
    kernels = [[] if plain else list(spec.kernels) for plain in residual]
    blocks = ["ResBlock" if plain else "EfficientViTBlock" for plain in residual]
    return {
        "in_channels": 3,
        "latent_channels": spec.channels,
        "attention_head_dim": spec.head_width,
        "encoder_block_types": blocks,
        "decoder_block_types": blocks,
        "encoder_block_out_channels": list(spec.widths),
        "decoder_block_out_channels": list(spec.widths),
        "encoder_layers_per_block": list(spec.encoder_layers),
        "decoder_layers_per_block": list(spec.decoder_layers),
        "encoder_qkv_multiscales": kernels,
        "decoder_qkv_multiscales": kernels,
        "upsample_block_type": "pixel_shuffle" if spec.fold else "interpolate",
        "downsample_block_type": "pixel_unshuffle" if spec.fold else "Conv",
        "decoder_norm_types": ["batch_norm" if plain and spec.batch_norm else "rms_norm" for plain in residual],
        "decoder_act_fns": ["relu" if plain and spec.batch_norm else "silu" for plain in residual],
        "encoder_out_shortcut": True,
        "decoder_in_shortcut": True,
        "decoder_conv_act_fn": "relu",
    }


def _wan_fields(config: Config) -> dict[str, Any]:
    base = config.get("base_dim", 96)
    return {
        "channels": config.get("z_dim", 16),
        "widths": [base * multiple for multiple in config.get("dim_mult", [1, 2, 4, 4])],
        "layers": config.get("num_res_blocks", 2),
        "temporal": config.get("temperal_downsample", [False, True, True]),
    }


def _wan_config(spec: WanSpec) -> dict[str, object]:
    return {
        "base_dim": spec.widths[0],
        "z_dim": spec.channels,
        "dim_mult": [width // spec.widths[0] for width in spec.widths],
        "num_res_blocks": spec.layers,
        "temperal_downsample": list(spec.temporal),
        "attn_scales": [],
    }


def _wan_only_config(spec: WanSpec) -> dict[str, object]:
    """What Wan's class says beyond Qwen-Image's."""
    more = {"in_channels": 3, "out_channels": 3, "decoder_base_dim": None, "is_residual": False, "patch_size": None}
    return {**_wan_config(spec), **more}


def _tiny_fields(config: Config) -> dict[str, Any]:
    standard = TinySpec()
    return {
        "channels": config.get("latent_channels", standard.channels),
        "width": config.get("encoder_block_out_channels", [standard.width])[0],
        "encoder_layers": config.get("num_encoder_blocks", standard.encoder_layers),
        "decoder_layers": config.get("num_decoder_blocks", standard.decoder_layers[::-1])[::-1],
        "decoder_widths": config.get("decoder_block_out_channels", standard.decoder_widths)[::-1],
    }


def _tiny_config(spec: TinySpec) -> dict[str, object]:
    return {
        "in_channels": 3,
        "out_channels": 3,
        "act_fn": "relu",
        "upsample_fn": "nearest",
        "upsampling_scaling_factor": 2,
        "latent_channels": spec.channels,
        "encoder_block_out_channels": [spec.width] * len(spec.encoder_layers),
        "num_encoder_blocks": list(spec.encoder_layers),
        "decoder_block_out_channels": list(spec.decoder_widths[::-1]),
        "num_decoder_blocks": list(spec.decoder_layers[::-1]),
    }


@dataclass(frozen=True)
class _Class:
    """A class of diffusers: the spec that it becomes, the fields of it, and what is written of it."""

    spec: type[Any]
    fields: Callable[[Config], dict[str, Any]]
    config: Callable[[Any], dict[str, object]]


CLASSES: Mapping[str, _Class] = {
    KL: _Class(KLSpec, _kl_fields, _kl_config),
    FLUX2: _Class(KLSpec, _flux2_fields, _flux2_config),
    DC: _Class(DCSpec, _dc_fields, _dc_config),
    WAN: _Class(WanSpec, _wan_fields, _wan_only_config),
    QWEN: _Class(WanSpec, _wan_fields, _wan_config),
    TINY: _Class(TinySpec, _tiny_fields, _tiny_config),
}


def _per_level(value: Any, levels: int) -> list[Any]:
    """diffusers writes one word for all levels, or a list."""
    return list(value) if isinstance(value, list | tuple) else [value] * levels


def _as_json(fields: dict[str, Any]) -> dict[str, object]:
    """Tuples of our defaults as the lists that a file would have."""
    return cast(dict[str, object], json.loads(json.dumps(fields)))
