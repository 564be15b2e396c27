"""Published checkpoints become models, and what cannot draw from words alone is refused in one sentence."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.checkpoint.pipelines import CLIP_VOCABULARY, vae, write_pipeline
from tests.tiny_model import tiny_folder
from torch import Tensor

from fictile.checkpoint import Defaults, content_hash, convert, load_published, open_checkpoint, open_model
from fictile.errors import RequestError

Tensors = dict[str, Tensor]
INPUT = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("sd1") / "fox", "sd1", vocabulary=CLIP_VOCABULARY)


@pytest.fixture(scope="module")
def single(folder: Path) -> Path:
    convert(open_checkpoint(folder), folder.parent / "hen.safetensors")
    return folder.parent / "hen.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    """The tensors of a single file of Stable Diffusion 1, with a vocabulary that would be refused later."""
    place = tmp_path_factory.mktemp("plain")
    convert(open_checkpoint(write_pipeline(place / "folder", "sd1")), place / "single.safetensors")
    return load_file(place / "single.safetensors")


def wider(channels: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, INPUT: torch.zeros(32, channels, 3, 3)}


def without(*starts: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.startswith(starts)}


VAE, TEXT = "first_stage_model.", "cond_stage_model."
WHOLE = "give the whole model, a file or a folder of diffusers."
WORDS = "which needs more than a prompt; give the base model to draw from words alone."
REFUSED: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "depth": (wider(5), f" is a model of the kind 'depth', {WORDS}"),
    "no autoencoder": (without(VAE), f" lacks its autoencoder; {WHOLE}"),
    "no text encoder": (without(TEXT), f" lacks its text encoder; {WHOLE}"),
    "a U-Net alone": (without(VAE, TEXT), f" lacks its autoencoder and its text encoder; {WHOLE}"),
    "an autoencoder": (
        without("model.", TEXT),
        f" is a KL autoencoder, one part of a model; {WHOLE}",
    ),
    "a text encoder": (
        without("model.", VAE),
        f" is a text encoder, one part of a model; {WHOLE}",
    ),
    "EDM": (
        lambda tensors: {**tensors, "edm_mean": torch.zeros(1, 4, 1, 1)},
        " predicts something unknown to Fictile; give a model that predicts eps or v.",
    ),
    "LoRA": (
        lambda _: {"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(8, 4)},
        " is a LoRA: it changes a model and is none; give the checkpoint that it was made for.",
    ),
    "FLUX": (
        lambda _: {
            f"double_blocks.0.img_attn.{name}": torch.zeros(4) for name in ("norm.key_norm.scale", "qkv.weight")
        },
        " is a model of FLUX.1, which Fictile does not draw with yet; "
        "give one of Stable Diffusion 1, 2 and XL, SSD-1B and Vega.",
    ),
    "a vocabulary of its own": (
        lambda tensors: tensors,
        "The text transformer knows 60 tokens from 58 (begin) to 59 (end), but CLIP has 49408 from 49406 to 49407; "
        "give a CLIP text transformer.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_draw_is_refused_in_one_sentence(plain: Tensors, tmp_path: Path, case: str) -> None:
    change, sentence = REFUSED[case]
    path = tmp_path / "some.safetensors"
    save_file(change(plain), path)
    with pytest.raises(RequestError) as caught:
        open_model(path)
    assert str(caught.value).removeprefix(str(path)) == sentence


def test_a_folder_of_an_autoencoder_alone_is_refused(tmp_path: Path) -> None:
    vae("sd1").save_pretrained(tmp_path / "vae")
    with pytest.raises(RequestError, match="is a KL autoencoder, one part of a model; give the whole model"):
        load_published(tmp_path / "vae")


def test_a_folder_that_predicts_pictures_is_refused(tmp_path: Path) -> None:
    write_pipeline(tmp_path, "sd1", prediction="sample")
    with pytest.raises(RequestError, match="predicts something unknown to Fictile"):
        open_model(tmp_path)


def test_a_single_file_has_one_hash_for_everything(single: Path) -> None:
    parts, whole = open_model(single), content_hash(single)
    assert parts.hashes
    assert {parts.hashes.model, parts.hashes.vae, parts.hashes.unet, parts.hashes.text} == {whole}
    assert parts.autoencoder.content_hash == whole
    assert (parts.name, parts.autoencoder.name) == ("hen", "hen")


def test_a_folder_has_a_hash_for_each_part_and_one_for_all(folder: Path) -> None:
    parts = open_model(folder)
    files = {
        "vae": folder / "vae" / "diffusion_pytorch_model.safetensors",
        "unet": folder / "unet" / "diffusion_pytorch_model.safetensors",
        "text": folder / "text_encoder" / "model.safetensors",
    }
    own = {name: content_hash(path) for name, path in files.items()}
    assert parts.hashes
    assert own == {"vae": parts.hashes.vae, "unet": parts.hashes.unet, "text": parts.hashes.text}
    together = "\n".join(own[name] for name in sorted(files, key=lambda name: files[name]))
    assert parts.hashes.model == hashlib.sha256(together.encode()).hexdigest()
    assert parts.autoencoder.content_hash == own["vae"]
    assert (parts.name, parts.autoencoder.name) == ("fox", "fox")


def test_a_folder_given_as_a_dot_has_its_real_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load_published(".").name == "fox"


def test_what_a_model_does_unasked(folder: Path, single: Path) -> None:
    for place in (folder, single):
        parts = load_published(open_checkpoint(place))
        assert parts.defaults == Defaults(size=(512, 512), guidance=7.0)
        assert (parts.denoiser.prediction, parts.denoiser.space) == ("eps", parts.autoencoder.space)


def test_a_model_that_draws_from_pure_noise_steps_from_there(single: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({**load_file(single), "v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}, path)
    parts = open_model(path)
    expected = Defaults(size=(512, 512), guidance=7.0, guidance_rescale=0.7, sampler="euler", schedule="trailing")
    assert parts.defaults == expected
    assert parts.denoiser.prediction == "v"
    assert parts.denoiser.schedule.level(999.0).alpha == 0


def test_a_folder_of_our_own_is_opened_too(tmp_path: Path) -> None:
    assert open_model(tiny_folder(tmp_path)).name == "tiny"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nowhere"):
        open_model(tmp_path / "nowhere")
