"""Models of the shapes of SD1, SD2-v and SDXL, tiny and random, draw what diffusers' own pipelines draw with them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from tests.text.twin import random_text, text_twin
from transformers import CLIPTokenizer

from fictile.checkpoint import (
    Defaults,
    Parts,
    convert,
    load_diffusers_autoencoder,
    load_diffusers_unet,
    open_checkpoint,
)
from fictile.denoiser import Denoiser
from fictile.engine import Runtime
from fictile.loading import load
from fictile.model import Model
from fictile.picture import to_uint8
from fictile.sampling import initial_noise
from fictile.schedule import DDPM, Prediction
from fictile.text import CLIP_L, OPENCLIP_G, OPENCLIP_H, TEXT_FAMILIES, CLIPConditioner, TextSpec, clip_tokenizer

# diffusers' Euler scheduler hands a tensor to NumPy in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)
PROMPT, NEGATIVE, SEED, STEPS, GUIDANCE = "a fox wearing a crown, 4k", "rain, blurry", 5, 10, 7.0
HEIGHT, WIDTH = 64, 96

SMALL_L = replace(CLIP_L, width=24, layers=3, heads=4)
SMALL_H = replace(OPENCLIP_H, width=40, layers=3, heads=4)
SMALL_G = replace(OPENCLIP_G, width=32, layers=3, heads=4, projection=48)


@dataclass(frozen=True, kw_only=True)
class Family:
    """What a family's networks look like, in diffusers' words."""

    texts: list[TextSpec]
    prediction: Prediction
    scaling: float
    unet: dict[str, Any]


FAMILIES = {
    "sd1": Family(
        texts=[SMALL_L],
        prediction="eps",
        scaling=0.18215,
        unet={"cross_attention_dim": 24, "attention_head_dim": 2},
    ),
    "sd2": Family(
        texts=[SMALL_H],
        prediction="v",
        scaling=0.18215,
        unet={"cross_attention_dim": 40, "attention_head_dim": [2, 4], "use_linear_projection": True},
    ),
    "sdxl": Family(
        texts=[SMALL_L, SMALL_G],
        prediction="eps",
        scaling=0.13025,
        unet={
            "cross_attention_dim": 56,
            "attention_head_dim": [2, 4],
            "use_linear_projection": True,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
            "transformer_layers_per_block": [1, 2],
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 48 + 6 * 8,
        },
    ),
}


VAE: dict[str, Any] = {
    "block_out_channels": [32, 32, 64, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "norm_num_groups": 32,
}
UNET: dict[str, Any] = {
    "block_out_channels": [32, 64],
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}


@dataclass(frozen=True)
class Pair:
    """One model, twice."""

    ours: Model
    theirs: Any


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    name: str = request.param
    family, folder = FAMILIES[name], tmp_path_factory.mktemp(name)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        vae, unet = (
            lively(AutoencoderKL(**VAE, scaling_factor=family.scaling)),
            lively(UNet2DConditionModel(**UNET | family.unet)),
        )
    vae.save_pretrained(folder / "vae")
    unet.save_pretrained(folder / "unet")
    texts = [random_text(spec, seed) for seed, spec in enumerate(family.texts)]
    autoencoder = load_diffusers_autoencoder(folder / "vae")
    parts = Parts(
        name=name,
        autoencoder=autoencoder,
        text=CLIPConditioner(TEXT_FAMILIES[name], tuple(texts)),
        denoiser=Denoiser(load_diffusers_unet(folder / "unet"), DDPM(), family.prediction, autoencoder.space),
        defaults=Defaults(size=(HEIGHT, WIDTH)),
    )
    twins, tokenizers = [text_twin(text) for text in texts], [tokenizer(folder, spec.pad) for spec in family.texts]
    networks: dict[str, Any] = {"vae": vae, "unet": unet, "text_encoder": twins[0], "tokenizer": tokenizers[0]}
    scheduler: Any = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon" if family.prediction == "eps" else "v_prediction",
        timestep_spacing="leading",
        steps_offset=1,
    )
    if len(twins) == 2:
        more: dict[str, Any] = {"text_encoder_2": twins[1], "tokenizer_2": tokenizers[1], "add_watermarker": False}
        pipeline: Any = StableDiffusionXLPipeline(**networks, **more, scheduler=scheduler)
    else:
        more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = StableDiffusionPipeline(**networks, **more, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return Pair(Model(parts, EXACT), pipeline)


def lively(network: Any) -> Any:
    """Random biases and norms too, so that what a network makes depends on what it is given."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def tokenizer(folder: Path, pad: int) -> Any:
    clip_tokenizer().save_diffusers(folder / f"tokenizer-{pad}", pad)
    return CLIPTokenizer.from_pretrained(folder / f"tokenizer-{pad}")


def ours(model: Model, prompt: str = PROMPT, **options: Any) -> Any:
    (picture,) = model.generate(
        prompt, seed=SEED, steps=STEPS, guidance=GUIDANCE, sampler="euler", schedule="leading", **options
    )
    return picture


def drawn(pipeline: Any, *, output: str = "np", **options: Any) -> Any:
    noise = initial_noise((4, HEIGHT // 8, WIDTH // 8), SEED, 1)
    return pipeline(
        PROMPT,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=noise,
        output_type=output,
        **options,
    ).images[0]


@pytest.mark.parametrize("negative", [NEGATIVE, ""])
def test_the_picture_is_diffusers(pair: Pair, negative: str) -> None:
    picture = ours(pair.ours, negative=negative)
    latent = drawn(pair.theirs, output="latent", negative_prompt=negative or None)
    error = (picture.latent.data[0] - latent).abs().max() / latent.abs().max()
    assert error <= 1e-4
    expected = np.round(255 * drawn(pair.theirs, negative_prompt=negative or None))
    assert np.abs(to_uint8(picture.pixels) - expected).max() <= 2
    assert expected.std() > 10


def test_the_texts_show_in_the_picture(pair: Pair) -> None:
    """Otherwise the comparison above would say nothing about them."""
    base = to_uint8(ours(pair.ours, negative=NEGATIVE).pixels).astype(int)
    for other in (
        ours(pair.ours, PROMPT + ", 8k", negative=NEGATIVE),
        ours(pair.ours, negative="rain"),
        ours(pair.ours, "a (fox:1.5) wearing a crown, 4k", negative=NEGATIVE),
    ):
        assert abs(to_uint8(other.pixels).astype(int) - base).max() > 8


def test_a_folder_and_a_single_file_are_the_same_model(pair: Pair, tmp_path: Path) -> None:
    """What diffusers writes is opened as it is, and as the file that `convert` makes of it."""
    pair.theirs.save_pretrained(tmp_path / "folder")
    convert(open_checkpoint(tmp_path / "folder"), tmp_path / "single.safetensors")
    expected = ours(pair.ours, negative=NEGATIVE, size=(HEIGHT, WIDTH)).pixels
    for place in (tmp_path / "folder", tmp_path / "single.safetensors"):
        model = load(place, runtime=EXACT)
        picture = ours(model, negative=NEGATIVE, size=(HEIGHT, WIDTH))
        assert np.abs(to_uint8(picture.pixels).astype(int) - to_uint8(expected)).max() <= 1
        assert model.name == place.stem
        assert picture.recipe.model_hash == model.hashes.model  # pyright: ignore[reportOptionalMemberAccess]
        again = load(place, runtime=EXACT).replay(picture.recipe)
        assert torch.equal(again.pixels, picture.pixels)
