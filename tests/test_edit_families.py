"""Inpainting and instruct-pix2pix models, tiny and random, denoise as diffusers' own pipelines do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint import StableDiffusionInpaintPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from PIL import Image
from tests.test_families import EXACT, FAMILIES, NEGATIVE, PROMPT, SEED, SMALL_L, UNET, VAE, lively, tokenizer
from tests.text.twin import random_text, text_twin

from fictile.checkpoint import convert, open_checkpoint
from fictile.errors import RequestError
from fictile.loading import load
from fictile.model import Model
from fictile.picture import Mask, load_picture
from fictile.sampling import initial_noise

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEIGHT, WIDTH, STEPS, GUIDANCE = 32, 64, 3, 7.0
SETTINGS: dict[str, Any] = {"sampler": "euler", "schedule": "leading", "steps": STEPS, "guidance": GUIDANCE}


def pipeline(kind: Any, channels: int, folder: Path) -> Any:
    """A pipeline of diffusers whose U-Net takes this many channels, and whose autoencoder hardly draws at random."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        vae: Any = lively(AutoencoderKL(**VAE, scaling_factor=0.18215))
        unet: Any = lively(UNet2DConditionModel(**UNET | FAMILIES["sd1"].unet, in_channels=channels, sample_size=64))
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -60
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )
    made = kind(
        vae=vae,
        unet=unet,
        text_encoder=text_twin(random_text(SMALL_L, 0)),
        tokenizer=tokenizer(folder, SMALL_L.pad),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def same_in_fictile(theirs: Any, folder: Path) -> Model:
    """Opened as its folder and as the single file that `convert` makes of it: one and the same."""
    theirs.save_pretrained(folder / "model")
    convert(open_checkpoint(folder / "model"), folder / "model.safetensors")
    assert load(folder / "model", runtime=EXACT).denoiser.sight != "noise"
    return load(folder / "model.safetensors", runtime=EXACT)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    dice = np.random.default_rng(0)
    coarse = Image.fromarray(dice.integers(0, 256, (4, 8, 3), dtype=np.uint8))
    coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours[0] - theirs).abs().max() / theirs.abs().max())


def test_an_inpainting_model_denoises_as_in_diffusers(tmp_path: Path, photo: Path) -> None:
    theirs = pipeline(StableDiffusionInpaintPipeline, 9, tmp_path)
    model = same_in_fictile(theirs, tmp_path)
    assert model.denoiser.sight == "masked picture"
    mask = Mask.box((HEIGHT, WIDTH), left=16, top=8, width=24, height=16)
    expected = theirs(
        PROMPT,
        negative_prompt=NEGATIVE,
        image=Image.open(photo),
        mask_image=Image.fromarray(mask.values),
        height=HEIGHT,
        width=WIDTH,
        strength=1.0,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=initial_noise((4, HEIGHT // 8, WIDTH // 8), SEED, 1),
        output_type="latent",
    ).images[0]
    (edited,) = model.edit(photo, PROMPT, negative=NEGATIVE, mask=mask, seed=SEED, **SETTINGS)
    # diffusers keeps nothing by force, so what is compared is the same without what `edit` keeps around the mask
    picture, recipe = load_picture(photo), edited.recipe
    beside = model._drawing.beside(recipe, picture, mask, None)  # pyright: ignore[reportPrivateUsage]
    free = model._drawing.diffusion.sample(recipe, None, beside)  # pyright: ignore[reportPrivateUsage]
    assert error(free, expected) <= 1e-4
    assert edited.latent is not None
    outside = mask.cells(8, 8)[0, 0] == 0
    kept = model.encode(photo).data
    torch.testing.assert_close(edited.latent.data[..., outside], kept[..., outside], rtol=0, atol=1e-4)


def test_an_inpainting_model_draws_from_words_with_everything_masked(tmp_path: Path, photo: Path) -> None:
    model = same_in_fictile(pipeline(StableDiffusionInpaintPipeline, 9, tmp_path), tmp_path)
    (words,) = model.generate(PROMPT, size=(HEIGHT, WIDTH), seed=SEED, **SETTINGS)
    (edited,) = model.edit(photo, PROMPT, mask=Mask.everything((HEIGHT, WIDTH)), seed=SEED, **SETTINGS)
    assert edited.latent is not None
    torch.testing.assert_close(edited.latent.data, words.latent.data, rtol=0, atol=1e-4)


def test_an_instruct_pix2pix_model_denoises_as_in_diffusers(tmp_path: Path, photo: Path) -> None:
    theirs = pipeline(StableDiffusionInstructPix2PixPipeline, 8, tmp_path)
    model = same_in_fictile(theirs, tmp_path)
    assert model.denoiser.sight == "picture"
    for picture_guidance in (1.5, 2.5):
        expected = theirs(
            PROMPT,
            negative_prompt=NEGATIVE,
            image=Image.open(photo),
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            image_guidance_scale=picture_guidance,
            latents=initial_noise((4, HEIGHT // 8, WIDTH // 8), SEED, 1),
            output_type="latent",
        ).images[0]
        (edited,) = model.edit(
            photo, PROMPT, negative=NEGATIVE, picture_guidance=picture_guidance, seed=SEED, **SETTINGS
        )
        assert edited.latent is not None
        assert error(edited.latent.data, expected) <= 1e-4
    with pytest.raises(RequestError, match="changes pictures and draws none from words alone"):
        model.generate(PROMPT, size=(HEIGHT, WIDTH))
