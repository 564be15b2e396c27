"""Folders that diffusers opens: the same latents, the same pictures, the same predictions, and the way back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from tests.tiny_model import tiny_autoencoder, tiny_unet

from fictile.autoencoder import Normalisation
from fictile.checkpoint import (
    export_diffusers_autoencoder,
    export_diffusers_unet,
    load_autoencoder,
    load_diffusers_autoencoder,
    load_diffusers_unet,
)
from fictile.denoiser import Added, UNet, UNetSpec
from fictile.errors import RequestError
from fictile.latent import Latent

SPECS = {
    "attention below": tiny_unet().spec,
    "like SD1": UNetSpec(widths=(8, 16), layers=2, depth=(1, 0), heads=(2, 2), groups=4, context_width=12),
    "like SDXL": UNetSpec(
        widths=(8, 16, 16),
        layers=1,
        depth=(0, 1, 3),
        mid_depth=3,
        heads=(1, 2, 4),
        groups=4,
        context_width=12,
        linear_projection=True,
        added_time_width=8,
        added_width=5 + 6 * 8,
    ),
}


@pytest.mark.parametrize(("quant", "attention"), [(True, True), (False, True), (True, False)])
@torch.no_grad()
def test_diffusers_makes_the_same_latents_and_pictures(tmp_path: Path, quant: bool, attention: bool) -> None:
    ours = tiny_autoencoder(quant=quant, attention=attention)
    export_diffusers_autoencoder(ours, tmp_path)
    theirs: Any = AutoencoderKL.from_pretrained(tmp_path)  # its return types are unions of tuples
    assert (theirs.config.scaling_factor, theirs.config.shift_factor) == (1.0, 0.0)
    pixels = torch.rand(2, 3, 16, 24) * 2 - 1
    posterior = ours.encode(pixels)
    moments = theirs.encode(pixels).latent_dist
    torch.testing.assert_close(moments.mean, posterior.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(moments.logvar, posterior.logvar, rtol=1e-5, atol=1e-5)
    latent = Latent(torch.randn_like(posterior.mean), ours.space)
    torch.testing.assert_close(theirs.decode(latent.data).sample, ours.decode(latent), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
@torch.no_grad()
def test_diffusers_predicts_the_same(tmp_path: Path, name: str) -> None:
    spec = SPECS[name]
    ours = UNet(spec).eval()
    export_diffusers_unet(ours, tmp_path)
    theirs = UNet2DConditionModel.from_pretrained(tmp_path)
    x, time, context = torch.randn(2, 4, 8, 12), torch.tensor([10.0, 700.0]), torch.randn(2, 5, spec.context_width)
    added = Added(torch.randn(2, 5), torch.rand(2, 6) * 100) if spec.added_width else None
    conditions = {"text_embeds": added.pooled, "time_ids": added.sizes} if added else None
    expected = theirs(x, time, context, added_cond_kwargs=conditions).sample
    torch.testing.assert_close(ours(x, time, context, added), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_a_unet_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    ours = UNet(SPECS[name])
    export_diffusers_unet(ours, tmp_path)
    back = load_diffusers_unet(tmp_path)
    assert back.spec == ours.spec
    torch.testing.assert_close(back.state_dict(), ours.state_dict(), rtol=0, atol=0)


def test_an_autoencoder_comes_back_with_its_name_and_its_space(tmp_path: Path) -> None:
    ours = tiny_autoencoder(quant=False)
    export_diffusers_autoencoder(ours, tmp_path)
    pixels = torch.rand(1, 3, 16, 16)
    for back in (
        load_diffusers_autoencoder(tmp_path),
        load_autoencoder(tmp_path / "diffusion_pytorch_model.safetensors"),
    ):
        assert (back.name, back.space) == (ours.name, ours.space)
        torch.testing.assert_close(back.encode(pixels).mean, ours.encode(pixels).mean, rtol=1e-5, atol=1e-5)


def test_what_diffusers_saved_opens_with_its_normalisation(tmp_path: Path) -> None:
    make: Any = AutoencoderKL  # its annotations admit no list, its config files hold nothing else
    theirs = make(
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        block_out_channels=[8, 16],
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    theirs.save_pretrained(tmp_path / "flux")
    ours = load_diffusers_autoencoder(tmp_path / "flux")
    assert ours.normalisation == Normalisation.scalar(0.3611, 0.1159, 4)
    assert ours.name == "flux"
    pixels = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        expected = (theirs.encode(pixels).latent_dist.mean - 0.1159) * 0.3611
    torch.testing.assert_close(ours.encode(pixels).mean, expected, rtol=1e-5, atol=1e-5)


def test_a_unet_that_diffusers_saved_opens(tmp_path: Path) -> None:
    make: Any = UNet2DConditionModel
    theirs = make(
        block_out_channels=[8, 16],
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        norm_num_groups=4,
        cross_attention_dim=12,
        attention_head_dim=2,
    ).eval()
    theirs.save_pretrained(tmp_path)
    x, time, context = torch.randn(1, 4, 8, 8), torch.tensor([500.0]), torch.randn(1, 5, 12)
    with torch.no_grad():
        torch.testing.assert_close(
            load_diffusers_unet(tmp_path)(x, time, context), theirs(x, time, context).sample, rtol=1e-4, atol=1e-5
        )


def test_latents_mean_and_std_become_a_normalisation_per_channel(tmp_path: Path) -> None:
    export_diffusers_autoencoder(tiny_autoencoder(), tmp_path)
    rewrite(tmp_path, scaling_factor=0.5, latents_mean=[1, 2, 3, 4], latents_std=[1, 2, 4, 8])
    assert load_diffusers_autoencoder(tmp_path).normalisation == Normalisation(
        (0.5, 0.25, 0.125, 0.0625), (1.0, 2.0, 3.0, 4.0)
    )


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_diffusers_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"folds its pixels by 2 \(stem\), and diffusers has no such AutoencoderKL"):
        export_diffusers_autoencoder(tiny_autoencoder(stem=2), tmp_path / "vae")
    spec = UNetSpec(widths=(8,), layers=1, depth=(1,), mid_depth=2, heads=(1,), groups=4, context_width=12)
    with pytest.raises(RequestError, match="2 transformer blocks in the middle and 1 in the deepest level"):
        export_diffusers_unet(UNet(spec), tmp_path / "unet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"_class_name": "UNet2DModel"}, "holds diffusers' UNet2DModel, but UNet2DConditionModel was expected"),
        ({"class_embed_type": "timestep"}, "has class_embed_type 'timestep', but Fictile knows this network only with"),
        ({"down_block_types": ["AttnDownBlock2D", "DownBlock2D"]}, "has down_block_types"),
        ({"up_block_types": ["UpBlock2D", "UpBlock2D"]}, "has up_block_types"),
        ({"addition_embed_type": "image"}, "has addition_embed_type 'image'"),
        ({"down_block_types": 2}, "down_block_types in config.json is 2, but a list was expected"),
        ({"transformer_layers_per_block": []}, "The value None does not fit mid_depth"),
        ({"block_out_channels": "many"}, "The value 'many' does not fit widths"),
        ({"layers_per_block": 2}, r"The U-Net in .* lacks \d+ of \d+ tensors \(down_blocks"),
    ],
)
def test_a_configuration_that_fictile_does_not_have_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    export_diffusers_unet(tiny_unet(), tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(RequestError, match=sentence):
        load_diffusers_unet(tmp_path)


def test_weights_in_a_pickle_or_under_a_variant_are_found(tmp_path: Path) -> None:
    ours = tiny_unet()
    export_diffusers_unet(ours, tmp_path)
    weights = tmp_path / "diffusion_pytorch_model.safetensors"
    weights.rename(tmp_path / "diffusion_pytorch_model.fp16.safetensors")
    torch.testing.assert_close(load_diffusers_unet(tmp_path).state_dict(), ours.state_dict(), rtol=0, atol=0)
    (tmp_path / "diffusion_pytorch_model.fp16.safetensors").unlink()
    with pytest.raises(RequestError, match="has no diffusion_pytorch_model"):
        load_diffusers_unet(tmp_path)
    torch.save(ours.state_dict(), weights.with_suffix(".bin"))
    torch.testing.assert_close(load_diffusers_unet(tmp_path).state_dict(), ours.state_dict(), rtol=0, atol=0)
    torch.save({}, weights.with_suffix(".bin"))
    with pytest.raises(RequestError, match="without a single tensor"):
        load_diffusers_unet(tmp_path)


def test_a_unet_without_a_middle_attention_goes_both_ways(tmp_path: Path) -> None:
    spec = UNetSpec(
        widths=(8, 16, 16),
        depth=(0, 1, 2),
        mid_depth=0,
        heads=(1, 2, 4),
        groups=4,
        context_width=12,
        linear_projection=True,
        up_depth=((), (1, 2, 1), (3, 2, 1)),
    )
    ours = UNet(spec).eval()
    export_diffusers_unet(ours, tmp_path)
    back = load_diffusers_unet(tmp_path)
    assert back.spec == spec
    theirs: Any = UNet2DConditionModel.from_pretrained(tmp_path)
    x, time, context = torch.randn(2, 4, 8, 12), torch.tensor([10.0, 700.0]), torch.randn(2, 5, 12)
    with torch.no_grad():
        torch.testing.assert_close(ours(x, time, context), theirs(x, time, context).sample, rtol=1e-4, atol=1e-5)
