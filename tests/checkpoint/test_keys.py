"""Names of tensors: what we call LDM's and open_clip's names, diffusers turns into its own, which are ours."""

from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from tests.checkpoint.pipelines import text_encoders
from torch import Tensor

from fictile.autoencoder import KL, KLSpec
from fictile.checkpoint.diffusers import unet_config
from fictile.checkpoint.keys import Convention, bare_clip, inverse, ldm_kl, ldm_unet, old_kl, open_clip, write_as
from fictile.denoiser import REFINER, SD15, SD21, SDXL, SSD_1B, VEGA, UNet, UNetSpec
from fictile.text import TextSpec, TextTransformer

UNETS = {"sd1": SD15, "sd2": SD21, "sdxl": SDXL, "refiner": REFINER, "ssd-1b": SSD_1B, "vega": VEGA}


def renamed(state: dict[str, Tensor], convention: Convention) -> dict[str, Tensor]:
    """The tensors as a file of that convention has them."""
    return {
        theirs: write_as([state[name] for name in ours], convention(ours[0]))
        for theirs, ours in inverse(state, convention).items()
    }


@pytest.mark.parametrize("family", UNETS)
def test_diffusers_reads_our_ldm_names_of_every_unet_in_full_size(family: str) -> None:
    spec = UNETS[family]
    with torch.device("meta"):
        ours = UNet(spec).state_dict()
    file = renamed(ours, ldm_unet(spec))
    assert len(file) == len(ours)
    prefixed: dict[str, Any] = {f"model.diffusion_model.{name}": tensor for name, tensor in file.items()}
    config: dict[str, Any] = {"class_embed_type": None, "addition_embed_type": None, **unet_config(spec)}
    theirs = convert_ldm_unet_checkpoint(prefixed, config)
    assert theirs.keys() == ours.keys()
    assert all(theirs[name].shape == ours[name].shape for name in ours)


def test_values_travel_with_their_names() -> None:
    """Shapes alone would not notice two of them swapped."""
    spec = UNetSpec(widths=(8, 16), depth=(1, 0), heads=(2, 2), groups=4, context_width=12)
    ours = UNet(spec).state_dict()
    prefixed: dict[str, Any] = {
        f"model.diffusion_model.{name}": tensor for name, tensor in renamed(ours, ldm_unet(spec)).items()
    }
    theirs = convert_ldm_unet_checkpoint(
        prefixed, {"layers_per_block": 2, "class_embed_type": None, "addition_embed_type": None}
    )
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize("quant", [True, False])
def test_diffusers_reads_our_ldm_names_of_the_autoencoder(quant: bool) -> None:
    spec = KLSpec(widths=(8, 8, 16, 16), groups=4, quant=quant)
    ours = KL(spec).state_dict()
    file: dict[str, Any] = {f"first_stage_model.{name}": tensor for name, tensor in renamed(ours, ldm_kl(spec)).items()}
    assert file["first_stage_model.encoder.mid.attn_1.q.weight"].shape == (16, 16, 1, 1)
    blocks = {"down_block_types": [""] * 4, "up_block_types": [""] * 4}
    theirs = convert_ldm_vae_checkpoint(file, blocks)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name].reshape(ours[name].shape), ours[name]) for name in ours)


def test_diffusers_reads_our_names_of_open_clip() -> None:
    spec = TextSpec(vocabulary=60, width=128, layers=2, heads=2, context=20, activation="gelu", projection=128, pad=0)
    ours = TextTransformer(spec).state_dict()
    file: dict[str, Any] = {f"clip.{name}": tensor for name, tensor in renamed(ours, open_clip).items()}
    assert file["clip.transformer.resblocks.1.attn.in_proj_weight"].shape == (3 * 128, 128)
    reference = text_encoders("sdxl")[1]
    theirs = convert_open_clip_checkpoint(reference, file, prefix="clip.")
    assert theirs is not None
    assert theirs.keys() - {"text_model.embeddings.position_ids"} == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize(
    ("convention", "ours", "theirs"),
    [
        (old_kl, "encoder.mid_block.attentions.0.to_q.weight", "encoder.mid_block.attentions.0.query.weight"),
        (old_kl, "decoder.mid_block.attentions.0.to_out.0.bias", "decoder.mid_block.attentions.0.proj_attn.bias"),
        (old_kl, "decoder.mid_block.attentions.0.group_norm.bias", "decoder.mid_block.attentions.0.group_norm.bias"),
        (bare_clip, "text_model.final_layer_norm.bias", "final_layer_norm.bias"),
        (bare_clip, "text_projection.weight", "text_projection.weight"),
    ],
)
def test_other_names(convention: Convention, ours: str, theirs: str) -> None:
    assert convention(ours).name == theirs
