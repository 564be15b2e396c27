"""The model folder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tiny_model import tiny_autoencoder, tiny_folder, tiny_parts, tiny_text

from fictile.checkpoint import load_model, save_autoencoder, save_model
from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import LatentSpace
from fictile.schedule import Flow
from fictile.text import CLIP_L, TEXT_FAMILIES, CLIPConditioner, TextTransformer


def test_a_model_comes_back_whole(tmp_path: Path) -> None:
    saved = tiny_parts(schedule=Flow(shift=2.0), prediction="flow")
    save_model(saved, tmp_path / "new" / "model", card="# A card\n", dtype=torch.float32)
    loaded = load_model(tmp_path / "new" / "model")
    assert (loaded.name, loaded.defaults) == (saved.name, saved.defaults)
    assert loaded.denoiser.space == loaded.autoencoder.space == saved.autoencoder.space
    assert (loaded.denoiser.schedule, loaded.denoiser.prediction) == (Flow(shift=2.0), "flow")
    assert torch.equal(loaded.text_encoder.encode(["a red fox"])[0], saved.text_encoder.encode(["a red fox"])[0])
    assert (tmp_path / "new" / "model" / "README.md").read_text() == "# A card\n"


def test_the_model_hash_follows_every_file(tmp_path: Path) -> None:
    hashes = load_model(tiny_folder(tmp_path)).hashes
    assert hashes == load_model(tmp_path).hashes
    about = tmp_path / "model.json"
    about.write_text(about.read_text().replace('"tiny"', '"other"'))
    changed = load_model(tmp_path).hashes
    assert hashes
    assert changed
    assert (changed.model != hashes.model, changed.vae == hashes.vae) == (True, True)


def test_parts_of_two_spaces_are_refused() -> None:
    other = LatentSpace(id="other", channels=4, factor=4)
    with pytest.raises(SpaceMismatch, match=r"tiny-\w+ \(4 channels, 1/4\).* speaks other \(4 channels, 1/4\)"):
        tiny_parts(space=other)


def test_a_text_encoder_of_another_width_is_refused() -> None:
    with pytest.raises(RequestError, match="makes 8 features per token, but its U-Net reads 16"):
        replace(tiny_parts(), text=tiny_text(width=8))


def test_a_vae_of_another_space_put_into_the_folder_is_refused(tmp_path: Path) -> None:
    save_autoencoder(tiny_autoencoder(stem=2), tiny_folder(tmp_path) / "vae.safetensors")
    with pytest.raises(SpaceMismatch, match=r"vae.safetensors and model.json"):
        load_model(tmp_path)


def test_a_model_json_with_another_space_is_refused_too(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    autoencoder = tiny_autoencoder(attention=False)
    save_autoencoder(autoencoder, folder / "vae.safetensors")
    about = json.loads((folder / "model.json").read_text())
    about["space"]["id"] = autoencoder.space.id
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(SpaceMismatch, match=r"vae.safetensors and unet.safetensors"):
        load_model(folder)


BAD_MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda folder: folder.rename(folder.with_name("moved")), "does not exist, but a model folder"),
    "no model.json": (lambda folder: (folder / "model.json").unlink(), "has no model.json"),
    "no weights": (lambda folder: (folder / "unet.safetensors").unlink(), r"unet.safetensors does not exist"),
    "no json": (lambda folder: (folder / "model.json").write_text("{"), r"model.json cannot be read"),
    "a list": (
        lambda folder: (folder / "model.json").write_text("[]"),
        r"A JSON object was expected for .*model.json, but it is \[\]",
    ),
    "newer": (lambda folder: (folder / "model.json").write_text('{"version": 9}'), "is of version 9, but 1 is known"),
    "lacking": (
        lambda folder: (folder / "model.json").write_text('{"version": 1}'),
        "The fields defaults, name, prediction and 2 more are missing from",
    ),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_a_bad_folder_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    folder = tiny_folder(tmp_path / "model")
    spoil, sentence = BAD_MODELS[case]
    spoil(folder)
    with pytest.raises(RequestError, match=sentence):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("prediction", "noise", "The value 'noise' does not fit prediction in"),
        ("schedule", {"kind": "linear"}, "Noise schedule 'linear' is unknown"),
        ("defaults", {"size": [32]}, r"The value \[32\] does not fit size in defaults in"),
    ],
)
def test_a_bad_value_in_model_json_is_named(tmp_path: Path, name: str, value: object, sentence: str) -> None:
    path = tiny_folder(tmp_path) / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(RequestError, match=sentence):
        load_model(tmp_path)


def test_a_model_with_clips_tokenizer_is_not_written_as_a_folder(tmp_path: Path) -> None:
    parts = tiny_parts()
    spec = replace(CLIP_L, width=16, layers=1, heads=2)
    clip = replace(parts, text=CLIPConditioner(TEXT_FAMILIES["sd1"], (TextTransformer(spec),)))
    with pytest.raises(RequestError, match="has CLIP text encoders"):
        save_model(clip, tmp_path / "clip")
    assert not (tmp_path / "clip").exists()


def test_text_encoders_with_a_pooled_vector_need_a_denoiser_that_reads_it() -> None:
    parts = tiny_parts()
    spec = replace(CLIP_L, width=8, layers=2, heads=2)
    text = CLIPConditioner(TEXT_FAMILIES["sdxl"], (TextTransformer(spec), TextTransformer(spec)))
    with pytest.raises(RequestError, match="of the text as a whole and the picture's size, but its U-Net reads 0"):
        replace(parts, text=text)
