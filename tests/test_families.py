"""Models of the shapes of SD1, SD2-v, SDXL, SSD-1B, Vega and SDXL's refiner, tiny and random, draw what diffusers' own
pipelines draw with them.
"""

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
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img import (
    StableDiffusionXLImg2ImgPipeline,
)
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from tests.text.twin import random_text, text_twin
from torch import Tensor
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
from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.loading import load
from fictile.model import Model
from fictile.picture import Mask, to_uint8
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


LARGE: dict[str, Any] = {
    "cross_attention_dim": 56,
    "attention_head_dim": [2, 4],
    "use_linear_projection": True,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2],
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 48 + 6 * 8,
}
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
    "sdxl": Family(texts=[SMALL_L, SMALL_G], prediction="eps", scaling=0.13025, unet=LARGE),
    "ssd-1b": Family(
        texts=[SMALL_L, SMALL_G],
        prediction="eps",
        scaling=0.13025,
        unet={
            **LARGE,
            "mid_block_type": "UNetMidBlock2D",
            "reverse_transformer_layers_per_block": [[2, 2, 3], 1],
        },
    ),
    "vega": Family(
        texts=[SMALL_L, SMALL_G], prediction="eps", scaling=0.13025, unet={**LARGE, "mid_block_type": "UNetMidBlock2D"}
    ),
    "sdxl-refiner": Family(
        texts=[SMALL_G],
        prediction="eps",
        scaling=0.13025,
        unet={**LARGE, "cross_attention_dim": 32, "projection_class_embeddings_input_dim": 48 + 5 * 8},
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
    """One model, twice; and the latent that both start from, where they do not draw from noise alone."""

    ours: Model
    theirs: Any
    start: Tensor | None


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
        denoiser=Denoiser(
            load_diffusers_unet(folder / "unet"),
            DDPM(),
            family.prediction,
            autoencoder.space,
            refines=name == "sdxl-refiner",
        ),
        defaults=Defaults(size=(HEIGHT, WIDTH)),
    )
    twins, tokenizers = [text_twin(text) for text in texts], [tokenizer(folder, spec.pad) for spec in family.texts]
    networks: dict[str, Any] = {"vae": vae, "unet": unet}
    scheduler: Any = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon" if family.prediction == "eps" else "v_prediction",
        timestep_spacing="leading",
        steps_offset=1,
    )
    if "addition_embed_type" not in family.unet:
        networks |= {"text_encoder": twins[0], "tokenizer": tokenizers[0], "safety_checker": None}
        more: dict[str, Any] = {"feature_extractor": None, "requires_safety_checker": False}
        pipeline: Any = StableDiffusionPipeline(**networks, **more, scheduler=scheduler)
    else:
        first, last = ([None, *own][-2:] for own in (twins, tokenizers))
        networks |= dict(zip(("text_encoder", "text_encoder_2"), first, strict=True))
        networks |= dict(zip(("tokenizer", "tokenizer_2"), last, strict=True), add_watermarker=False)
        if len(twins) == 2:
            pipeline = StableDiffusionXLPipeline(**networks, scheduler=scheduler)
        else:
            more = {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}
            pipeline = StableDiffusionXLImg2ImgPipeline(**networks, **more, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    start = None
    if parts.denoiser.refines:
        start = torch.randn(1, 4, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(2))
    return Pair(Model(parts, EXACT), pipeline, start)


def lively(network: Any) -> Any:
    """Random biases and norms too, so that what a network makes depends on what it is given."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def tokenizer(folder: Path, pad: int) -> Any:
    clip_tokenizer().save_diffusers(folder / f"tokenizer-{pad}", pad)
    return CLIPTokenizer.from_pretrained(folder / f"tokenizer-{pad}")


def ours(pair: Pair, prompt: str = PROMPT, model: Model | None = None, **options: Any) -> Any:
    """Ten steps from noise; or the last ten of twenty, from the picture that a refiner finishes."""
    model = model or pair.ours
    steps = STEPS if pair.start is None else 2 * STEPS
    (picture,) = model.generate(
        prompt,
        seed=SEED,
        steps=steps,
        guidance=GUIDANCE,
        sampler="euler",
        schedule="leading",
        size=(HEIGHT, WIDTH),
        init=begun(pair, model),
        strength=STEPS / steps,
        **options,
    )
    return picture


def begun(pair: Pair, model: Model) -> Latent | None:
    return None if pair.start is None else Latent(pair.start, model.space, (HEIGHT, WIDTH))


def drawn(pair: Pair, **options: Any) -> Any:
    """The same by diffusers, which draws the noise over a picture itself, from the generator."""
    given: dict[str, Any]
    if pair.start is None:
        noise = initial_noise((4, HEIGHT // 8, WIDTH // 8), SEED, 1)
        given = {"height": HEIGHT, "width": WIDTH, "num_inference_steps": STEPS, "latents": noise}
    else:
        dice = torch.Generator().manual_seed(SEED)
        given = {"image": pair.start, "num_inference_steps": 2 * STEPS, "strength": 0.5, "generator": dice}
    return pair.theirs(PROMPT, guidance_scale=GUIDANCE, **given, **options).images[0]


@pytest.mark.parametrize("negative", [NEGATIVE, ""])
def test_the_picture_is_diffusers(pair: Pair, negative: str) -> None:
    picture = ours(pair, negative=negative)
    latent = drawn(pair, output_type="latent", negative_prompt=negative or None)
    error = (picture.latent.data[0] - latent).abs().max() / latent.abs().max()
    assert error <= 1e-4
    expected = np.round(255 * drawn(pair, output_type="np", negative_prompt=negative or None))
    assert np.abs(to_uint8(picture.pixels) - expected).max() <= 2
    assert expected.std() > 10


def test_the_texts_show_in_the_picture(pair: Pair) -> None:
    """Otherwise the comparison above would say nothing about them."""
    base = to_uint8(ours(pair, negative=NEGATIVE).pixels).astype(int)
    for other in (
        ours(pair, PROMPT + ", 8k", negative=NEGATIVE),
        ours(pair, negative="rain"),
        ours(pair, "a (fox:1.5) wearing a crown, 4k", negative=NEGATIVE),
    ):
        assert abs(to_uint8(other.pixels).astype(int) - base).max() > 8


def test_a_folder_and_a_single_file_are_the_same_model(pair: Pair, tmp_path: Path) -> None:
    """What diffusers writes is opened as it is, and as the file that `convert` makes of it."""
    pair.theirs.save_pretrained(tmp_path / "folder")
    convert(open_checkpoint(tmp_path / "folder"), tmp_path / "single.safetensors")
    expected = ours(pair, negative=NEGATIVE).pixels
    for place in (tmp_path / "folder", tmp_path / "single.safetensors"):
        model = load(place, runtime=EXACT)
        picture = ours(pair, negative=NEGATIVE, model=model)
        assert np.abs(to_uint8(picture.pixels).astype(int) - to_uint8(expected)).max() <= 1
        assert model.name == place.stem
        assert picture.recipe.model_hash == model.hashes.model  # pyright: ignore[reportOptionalMemberAccess]
        again = model.replay(picture.recipe, init=begun(pair, model))
        assert torch.equal(again.pixels, picture.pixels)


@pytest.mark.parametrize("pair", ["sdxl-refiner"], indirect=True)
def test_a_refiner_finishes_pictures_and_draws_none(pair: Pair, tmp_path: Path) -> None:
    pair.theirs.save_pretrained(tmp_path / "refiner")
    model = load(tmp_path / "refiner", runtime=EXACT)
    start = begun(pair, model)
    for init in (None, start):
        with pytest.raises(RequestError, match="refiner is a refiner: it finishes pictures and draws none from noise"):
            model.generate(PROMPT, size=(HEIGHT, WIDTH), init=init, strength=1.0)
    (finished,) = model.generate(PROMPT, init=start, steps=3)
    assert finished.recipe.strength == 0.3
    finished.save(tmp_path / "fox.png")
    (edited,) = model.edit(tmp_path / "fox.png", PROMPT, mask=Mask.everything((HEIGHT, WIDTH)), steps=3)
    assert edited.recipe.strength == 0.3
