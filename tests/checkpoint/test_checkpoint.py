"""Checkpoints become networks that compute what diffusers' and transformers' own do."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from tests.checkpoint.pipelines import VOCABULARY, Shape, vae, write_pipeline
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from fictile.checkpoint import LoadedCheckpoint, convert, load_checkpoint, open_checkpoint
from fictile.denoiser import Added, UNet
from fictile.errors import RequestError

UNET, EMA = "model.diffusion_model.", "model_ema.diffusion_model"
PRECISION = 1e-4  # relative, in float32


@pytest.fixture(scope="module", params=["sd1", "sd2", "sdxl"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of diffusers, and beside it the single file."""
    shape: Shape = request.param
    made = write_pipeline(tmp_path_factory.mktemp(shape) / "folder", shape)
    convert(open_checkpoint(made), made.with_suffix(".safetensors"))
    return made


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The tensors of a single file."""
    place = tmp_path_factory.mktemp("sd1")
    convert(open_checkpoint(write_pipeline(place / "folder", "sd1")), place / "single.safetensors")
    return load_file(place / "single.safetensors")


def close(ours: Float[Tensor, "..."], theirs: Float[Tensor, "..."]) -> bool:
    assert theirs.std() > 0
    return ((ours - theirs).norm() / theirs.norm()).item() <= PRECISION


@pytest.mark.parametrize("single", [False, True], ids=["folder", "single"])
@torch.no_grad()
def test_the_networks_compute_what_diffusers_and_transformers_do(folder: Path, single: bool) -> None:
    loaded = load_checkpoint(folder.with_suffix(".safetensors") if single else folder)
    assert loaded.identity.problems == ()
    the_same_unet(loaded, folder)
    the_same_autoencoder(loaded, folder)
    the_same_texts(loaded, folder)


def the_same_unet(loaded: LoadedCheckpoint, folder: Path) -> None:
    theirs: Any = UNet2DConditionModel.from_pretrained(folder / "unet")
    assert loaded.unet
    spec = loaded.unet.spec
    x, time = torch.randn(2, 4, 8, 8), torch.tensor([999.0, 30.0])
    context = torch.randn(2, 7, spec.context_width)
    added, more = None, {}
    if spec.added_width:
        pooled, sizes = torch.randn(2, 128), torch.tensor([[64.0, 96.0, 0.0, 0.0, 64.0, 96.0]] * 2)
        added, more = Added(pooled, sizes), {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
    expected = theirs(x, time, encoder_hidden_states=context, **more).sample
    assert close(loaded.unet(x, time, context, added), expected)


def the_same_autoencoder(loaded: LoadedCheckpoint, folder: Path) -> None:
    theirs: Any = AutoencoderKL.from_pretrained(folder / "vae")
    autoencoder = loaded.autoencoder("some")
    pixels, scale = 2 * torch.rand(1, 3, 16, 32) - 1, theirs.config.scaling_factor
    posterior = autoencoder.encode(pixels)
    assert close(posterior.mean, theirs.encode(pixels).latent_dist.mean * scale)
    latent = posterior.mode()
    assert close(autoencoder.decode(latent), theirs.decode(latent.data / scale).sample)


def the_same_texts(loaded: LoadedCheckpoint, folder: Path) -> None:
    tokens = torch.randint(0, VOCABULARY - 2, (2, 20))
    tokens[:, 9:] = VOCABULARY - 1
    second: Any = CLIPTextModelWithProjection
    kinds: list[tuple[str, Any, Any]] = [("text_encoder", CLIPTextModel, loaded.text_encoder)]
    if loaded.text_encoder_2:
        kinds.append(("text_encoder_2", second, loaded.text_encoder_2))
    for name, kind, ours in kinds:
        theirs = kind.from_pretrained(folder / name).eval()
        expected = theirs(tokens, output_hidden_states=True)
        found = ours(tokens)
        assert close(found.last, expected.last_hidden_state), name
        assert close(found.hidden_states[1], expected.hidden_states[1]), name
        assert close(found.pooled, expected.text_embeds if kind is second else expected.pooler_output), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_networks_are_made_in_the_type_asked_for(sd1: dict[str, Tensor], tmp_path: Path, dtype: torch.dtype) -> None:
    save_file(sd1, tmp_path / "a.safetensors")
    loaded = load_checkpoint(tmp_path / "a.safetensors", dtype=dtype, roles=("unet",))
    assert loaded.unet
    assert {parameter.dtype for parameter in loaded.unet.parameters()} == {dtype}
    assert (loaded.vae, loaded.text_encoder) == (None, None)


def test_the_averaged_copy_of_the_unet(sd1: dict[str, Tensor], tmp_path: Path) -> None:
    copies = {
        EMA + name.removeprefix(UNET).replace(".", ""): 2 * tensor
        for name, tensor in sd1.items()
        if name.startswith(UNET)
    }
    path = tmp_path / "ema.safetensors"
    save_file({**sd1, **copies, "model_ema.decay": torch.tensor(0.9999)}, path)
    plain, averaged = (unet(load_checkpoint(path, ema=ema, roles=("unet",))) for ema in (False, True))
    expected = plain.state_dict()
    assert all(torch.equal(tensor, 2 * expected[name]) for name, tensor in averaged.state_dict().items())
    assert open_checkpoint(path).identity.ema == len(copies) + 1


def test_an_averaged_copy_that_is_not_there_is_refused(sd1: dict[str, Tensor], folder: Path, tmp_path: Path) -> None:
    save_file(sd1, tmp_path / "a.safetensors")
    with pytest.raises(RequestError, match=r"has no averaged copy of its U-Net \(model_ema\); load it without"):
        load_checkpoint(tmp_path / "a.safetensors", ema=True)
    with pytest.raises(RequestError, match="averaged copies are in single files only"):
        load_checkpoint(folder, ema=True)


def test_a_unet_in_gguf_is_dequantised(sd1: dict[str, Tensor], tmp_path: Path) -> None:
    """As ComfyUI-GGUF has them: the U-Net alone, and convolutions flattened where their rows do not suit the blocks."""
    kind, exact = gguf.GGMLQuantizationType.Q8_0, dict[str, Tensor]()
    writer = gguf.GGUFWriter(tmp_path / "unet.gguf", "sd1")
    for name, tensor in sd1.items():
        if not name.startswith(UNET):
            continue
        data, bare = tensor.numpy(), name.removeprefix(UNET)
        if tensor.dim() == 2 and tensor.shape[1] % 32 == 0:
            quantised = gguf.quantize(data, kind)
            writer.add_tensor(bare, quantised, raw_dtype=kind)
            exact[name] = torch.from_numpy(gguf.dequantize(quantised, kind))
        else:
            writer.add_tensor(bare, data)
            exact[name] = tensor
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    save_file(exact, tmp_path / "exact.safetensors")
    from_gguf, expected = (unet(load_checkpoint(tmp_path / name)) for name in ("unet.gguf", "exact.safetensors"))
    assert from_gguf.spec == expected.spec
    other = expected.state_dict()
    assert all(torch.equal(tensor, other[name]) for name, tensor in from_gguf.state_dict().items())


def test_a_lone_autoencoder_of_unknown_units_is_no_autoencoder(sd1: dict[str, Tensor], tmp_path: Path) -> None:
    """Without its denoiser nothing says which space of 4 channels it is."""
    save_file({name: tensor for name, tensor in sd1.items() if name.startswith("first")}, tmp_path / "vae.safetensors")
    loaded = load_checkpoint(tmp_path / "vae.safetensors")
    assert loaded.vae is not None
    with pytest.raises(RequestError, match="does not say which latent space it has"):
        loaded.autoencoder("vae")
    with pytest.raises(RequestError, match="has no autoencoder in it"):
        replace(loaded, vae=None).autoencoder("vae")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"neither model_index.json nor config.json; give a model's folder"):
        load_checkpoint(tmp_path)


def unet(loaded: LoadedCheckpoint) -> UNet:
    assert loaded.unet
    return loaded.unet


@pytest.mark.parametrize(
    ("pipeline", "scheduler", "title"),
    [
        ("PixArtAlphaPipeline", {"beta_schedule": "linear", "prediction_type": "epsilon"}, "PixArt"),
        ("WanPipeline", {"beta_schedule": "linear", "prediction_type": "flow_prediction"}, "Wan"),
    ],
)
def test_a_folder_of_another_family_is_named_whatever_its_noise(
    tmp_path: Path, pipeline: str, scheduler: dict[str, str], title: str
) -> None:
    """Its noise concerns its denoiser, which is not built here; its autoencoder is used."""
    vae("sd1").save_pretrained(tmp_path / "vae")
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    index = {"_class_name": pipeline, "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    opened = open_checkpoint(tmp_path)
    assert title in opened.identity.title
    assert set(opened.parts) == {"vae"}
