"""Families of models, by what only they have. Where each mark comes from is in docs/checkpoints.md."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fictile.denoiser import REFINER, SD15, SD21, SDXL, SSD_1B, VEGA, UNetSpec

Family = Literal[
    "sd1", "sd2", "sdxl", "sdxl-refiner", "ssd-1b", "vega",
    "sd3", "flux1", "flux2", "chroma", "wan", "qwen-image", "sana", "pixart", "auraflow", "lumina2", "z-image",
    "hunyuan-dit", "hunyuan-video", "ltx", "cascade", "svd", "sd-upscaler",
]  # fmt: skip
Variant = Literal["base", "inpaint", "instruct-pix2pix", "depth", "upscale", "unclip"]

TITLES: Mapping[str, str] = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "Stable Diffusion XL",
    "sdxl-refiner": "the refiner of Stable Diffusion XL",
    "ssd-1b": "SSD-1B",
    "vega": "Segmind Vega",
    "sd3": "Stable Diffusion 3",
    "flux1": "FLUX.1",
    "flux2": "FLUX.2",
    "chroma": "Chroma",
    "wan": "Wan",
    "qwen-image": "Qwen-Image",
    "sana": "Sana",
    "pixart": "PixArt",
    "auraflow": "AuraFlow",
    "lumina2": "Lumina 2",
    "z-image": "Z-Image",
    "hunyuan-dit": "HunyuanDiT",
    "hunyuan-video": "HunyuanVideo",
    "ltx": "LTX-Video",
    "cascade": "Stable Cascade",
    "svd": "Stable Video Diffusion",
    "sd-upscaler": "the Stable Diffusion upscaler",
}


@dataclass(frozen=True, kw_only=True)
class FamilyFacts:
    """What files of a family do not say themselves."""

    unet: UNetSpec
    space: str  # of its own autoencoder, a key of `autoencoder.KNOWN`
    texts: tuple[tuple[str, str], ...]  # place in a single file, and the naming there
    architecture: str  # of ModelSpec (https://github.com/Stability-AI/ModelSpec)
    resolution: int  # side of the pictures it was trained on


_LDM_L = ("cond_stage_model.transformer.", "transformers")
_SGM_L = ("conditioner.embedders.0.transformer.", "transformers")
_SD1 = FamilyFacts(unet=SD15, space="sd1", texts=(_LDM_L,), architecture="stable-diffusion-v1", resolution=512)
_SDXL = FamilyFacts(
    unet=SDXL,
    space="sdxl",
    texts=(_SGM_L, ("conditioner.embedders.1.model.", "open_clip")),
    architecture="stable-diffusion-xl-v1-base",
    resolution=1024,
)

# Those whose denoiser is built here.
FAMILIES: Mapping[Family, FamilyFacts] = {
    "sd1": _SD1,
    "sd2": FamilyFacts(
        unet=SD21,
        space="sd1",
        texts=(("cond_stage_model.model.", "open_clip"),),
        architecture="stable-diffusion-v2",
        resolution=768,
    ),
    "sdxl": _SDXL,
    "sdxl-refiner": FamilyFacts(
        unet=REFINER,
        space="sdxl",
        texts=(("conditioner.embedders.0.model.", "open_clip"),),
        architecture="stable-diffusion-xl-v1-refiner",
        resolution=1024,
    ),
    "ssd-1b": replace(_SDXL, unet=SSD_1B),
    "vega": replace(_SDXL, unet=VEGA),
}

IN_CHANNELS: Mapping[int, Variant] = {4: "base", 5: "depth", 7: "upscale", 8: "instruct-pix2pix", 9: "inpaint"}

# A tensor that only this family's denoiser has. The first that is there decides: narrower marks stand first.
MARKS: tuple[tuple[str, Family], ...] = (
    ("joint_blocks.0.context_block.attn.qkv.weight", "sd3"),
    ("clf.1.weight", "cascade"),
    ("double_layers.0.attn.w1q.weight", "auraflow"),
    ("mlp_t5.0.weight", "hunyuan-dit"),
    ("txt_in.individual_token_refiner.blocks.0.norm1.weight", "hunyuan-video"),
    ("distilled_guidance_layer.layers.0.in_layer.weight", "chroma"),
    ("double_stream_modulation_img.lin.weight", "flux2"),
    ("double_blocks.0.img_attn.norm.key_norm.scale", "flux1"),
    ("t_block.1.weight", "pixart"),
    ("adaln_single.emb.timestep_embedder.linear_1.bias", "ltx"),
    ("head.modulation", "wan"),
    ("txt_norm.weight", "qwen-image"),
    ("blocks.0.cross_attn.q_linear.weight", "sana"),
    # the same in diffusers' names
    ("pos_embed.pos_embed", "sd3"),
    ("single_transformer_blocks.0.norm.linear.weight", "flux1"),
    ("double_stream_modulation_img.linear.weight", "flux2"),
    ("condition_embedder.text_embedder.linear_1.weight", "wan"),
    ("caption_norm.weight", "sana"),
)
LUMINA = "cap_embedder.1.weight"  # Lumina 2 (2304 rows) and Z-Image (3840)

# `_class_name` in model_index.json, or of one transformer's config.json -> family, for those not built here.
CLASSES: Mapping[str, Family] = {
    "StableDiffusion3": "sd3",
    "SD3Transformer2DModel": "sd3",
    "Flux2": "flux2",
    "Flux": "flux1",
    "Chroma": "chroma",
    "Wan": "wan",
    "QwenImage": "qwen-image",
    "Sana": "sana",
    "PixArt": "pixart",
    "AuraFlow": "auraflow",
    "Lumina2": "lumina2",
    "ZImage": "z-image",
    "HunyuanDiT": "hunyuan-dit",
    "HunyuanVideo": "hunyuan-video",
    "LTX": "ltx",
    "StableCascade": "cascade",
    "StableVideo": "svd",
    "StableDiffusionUpscale": "sd-upscaler",
}

# The space of the autoencoder that a family's files bundle (facts with sources: `autoencoder/known.py`).
_OTHER_SPACES: Mapping[Family, str] = {
    "sd3": "sd3",
    "flux1": "flux1",
    "chroma": "flux1",
    "lumina2": "flux1",
    "z-image": "flux1",
    "auraflow": "sdxl",
    "hunyuan-dit": "sdxl",
    "pixart": "sdxl",
    "svd": "sd1",
    "flux2": "flux2",
    "wan": "wan21",
    "qwen-image": "wan21",
    "sana": "sana",
}
SPACES: Mapping[Family, str] = {**_OTHER_SPACES, **{family: facts.space for family, facts in FAMILIES.items()}}

UNET_PREFIXES = ("model.diffusion_model.", "unet.", "model.model.", "diffusion_model.", "net.", "model.", "")
VAE_PREFIXES = ("first_stage_model.", "vae.", "")
TEXT_PREFIXES = (
    "cond_stage_model.transformer.",
    "cond_stage_model.model.",
    "conditioner.embedders.0.transformer.",
    "conditioner.embedders.0.model.",
    "conditioner.embedders.1.model.",
    "text_encoders.clip_l.transformer.",
    "text_encoders.clip_g.transformer.",
    "",
)
EMA_PREFIX = "model_ema.diffusion_model"


def family_of(spec: UNetSpec, texts: int) -> tuple[Family, bool]:
    """Whose U-Net it is, and whether it is of the published size; one of other sizes belongs where it is built alike:
    `texts` is how many text encoders come with it.
    """
    for family, facts in FAMILIES.items():
        if replace(facts.unet, in_channels=spec.in_channels) == spec:
            return family, True
    if spec.added_width is not None:
        return ("sdxl-refiner" if texts == 1 else "sdxl"), False
    return ("sd2" if spec.linear_projection else "sd1"), False
