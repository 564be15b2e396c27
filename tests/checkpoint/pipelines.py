"""Tiny random pipelines, written by diffusers and transformers: what people own, in milliseconds."""

from pathlib import Path
from typing import Any, Literal

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

Shape = Literal["sd1", "sd2", "sdxl"]
Predicted = Literal["epsilon", "v_prediction", "sample"]
VOCABULARY, CLIP_VOCABULARY = 60, 49408


def write_pipeline(
    folder: Path,
    shape: Shape,
    *,
    prediction: Predicted = "epsilon",
    shards: bool = False,
    vocabulary: int = VOCABULARY,
    **save: Any,
) -> Path:
    """The folder, with a pipeline of this family's shape in it; without tokenizers."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        texts = text_encoders(shape, vocabulary)
        pipeline: Any = StableDiffusionXLPipeline if shape == "sdxl" else StableDiffusionPipeline
        more: dict[str, Any] = (
            {"text_encoder_2": texts[1], "tokenizer_2": None}
            if shape == "sdxl"
            else {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        )
        make: Any = DDIMScheduler
        scheduler = make(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type=prediction,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        )
        made = pipeline(
            unet=unet(shape), vae=vae(shape), text_encoder=texts[0], tokenizer=None, scheduler=scheduler, **more
        )
    made.save_pretrained(folder, **({"max_shard_size": "100KB"} if shards else {}), **save)
    return folder


def unet(shape: Shape, **changes: Any) -> Any:
    """A U-Net of diffusers."""
    make: Any = UNet2DConditionModel
    plain: dict[str, Any] = {
        "block_out_channels": [32, 64],
        "layers_per_block": 2,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "cross_attention_dim": 64,
        "attention_head_dim": 8,
        "norm_num_groups": 32,
    }
    large: dict[str, Any] = {
        "block_out_channels": [32, 64, 64],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 1, 2],
        "attention_head_dim": [2, 4, 4],
        "cross_attention_dim": 64 + 128,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 128 + 6 * 8,
    }
    linear = {"use_linear_projection": True, "attention_head_dim": [2, 4], "cross_attention_dim": 128}
    return make(**plain | {"sd1": {}, "sd2": linear, "sdxl": large}[shape] | changes).eval()


def vae(shape: Shape, **changes: Any) -> Any:
    """A KL autoencoder of diffusers."""
    make: Any = AutoencoderKL
    settings: dict[str, Any] = {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [32, 32, 64, 64],
        "layers_per_block": 1,
        "scaling_factor": 0.13025 if shape == "sdxl" else 0.18215,
    }
    return make(**settings | changes).eval()


def text_encoders(shape: Shape, vocabulary: int = VOCABULARY) -> list[Any]:
    """The text encoders of transformers."""
    small = _text(width=64, act="quick_gelu", vocabulary=vocabulary)
    large = _text(width=128, act="gelu", vocabulary=vocabulary)
    if shape == "sd1":
        return [CLIPTextModel(small).eval()]
    if shape == "sd2":
        return [CLIPTextModel(large).eval()]
    return [CLIPTextModel(small).eval(), CLIPTextModelWithProjection(large).eval()]


def _text(*, width: int, act: str, vocabulary: int) -> CLIPTextConfig:
    make: Any = CLIPTextConfig
    return make(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=vocabulary,
        max_position_embeddings=20,
        hidden_act=act,
        projection_dim=width,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=1,
    )
