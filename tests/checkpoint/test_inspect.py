"""What `inspect_file` says of every kind of file."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.tiny_model import tiny_folder, tiny_parts, tiny_unet

from fictile.checkpoint import content_hash, export_diffusers_unet, inspect_file, load_model
from fictile.errors import RequestError
from fictile.latent import Latent
from fictile.picture import save_picture


def test_a_native_weight_file_tells_all_about_itself(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path) / "vae.safetensors"
    autoencoder = tiny_parts().autoencoder
    found = inspect_file(path)
    assert (found.kind, found.description, found.dtype) == ("autoencoder", "an autoencoder of Fictile", "F16")
    assert found.parameters == sum(weight.numel() for weight in autoencoder.network.parameters())
    assert (found.space, found.about["name"]) == (autoencoder.space.id, "tiny")
    assert (found.size, found.sha256) == (path.stat().st_size, content_hash(path))


def test_a_model_folder_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    found = inspect_file(tiny_folder(tmp_path))
    parts = [inspect_file(tmp_path / f"{name}.safetensors") for name in ("vae", "unet", "text")]
    assert [part.kind for part in parts] == ["autoencoder", "denoiser", "text"]
    assert found.kind == "model"
    assert found.parameters == sum(part.parameters or 0 for part in parts)
    assert (found.about["name"], found.about["prediction"]) == ("tiny", "eps")
    hashes = load_model(tmp_path).hashes
    assert hashes
    assert found.sha256 == hashes.model


def test_a_diffusers_folder_is_named_by_its_class(tmp_path: Path) -> None:
    export_diffusers_unet(tiny_unet(), tmp_path)
    found = inspect_file(tmp_path)
    assert (found.kind, found.description) == ("denoiser", "the U-Net of Stable Diffusion 1")
    assert found.dtype == "F32"


def test_a_latent_and_a_picture_are_recognised(tmp_path: Path) -> None:
    space = tiny_parts().autoencoder.space
    Latent(torch.zeros(1, 4, 2, 2), space, size=(8, 8)).save(tmp_path / "a.latent.safetensors")
    found = inspect_file(tmp_path / "a.latent.safetensors")
    assert (found.kind, found.space, found.parameters) == ("latent", space.id, None)
    save_picture(torch.zeros(3, 4, 4), tmp_path / "made.png", {"fictile": "{}"})
    assert "with its recipe" in inspect_file(tmp_path / "made.png").description
    Image.new("RGB", (4, 4)).save(tmp_path / "other.png")
    assert inspect_file(tmp_path / "other.png").description == "a PNG picture without a recipe"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_every_picture_is_one_with_its_size(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (24, 16)).save(tmp_path / "picture", kind)
    found = inspect_file(tmp_path / "picture")
    assert (found.kind, found.description) == ("picture", f"a {kind} picture without a recipe")
    assert (found.width, found.height) == (24, 16)


def test_a_picture_that_lies_on_its_side_is_measured_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (24, 16)).save(tmp_path / "turned.jpg", exif=exif)
    found = inspect_file(tmp_path / "turned.jpg")
    assert (found.width, found.height) == (16, 24)


def test_mixed_types_are_given_with_their_shares(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(30), "b": torch.zeros(10, dtype=torch.float16)}, tmp_path / "mixed.safetensors")
    found = inspect_file(tmp_path / "mixed.safetensors")
    assert found.description == "a file with 2 tensors of a kind that Fictile does not know"
    assert found.dtype == "F32 75%, F16 25%"


def test_every_answer_is_plain_json(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    for path in (folder, folder / "unet.safetensors", folder / "vae.safetensors"):
        answer = json.loads(json.dumps(asdict(inspect_file(path))))
        assert answer["path"] == str(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path, "does not exist"),
    "an empty folder": (lambda path: path.mkdir(), "neither model.json nor model_index.json nor config.json"),
    "a damaged picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "no picture"),
    "a damaged file": (lambda path: path.write_bytes(b"\x20" + b"\0" * 7 + b"{}"), "is truncated"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_broken_is_refused(tmp_path: Path, case: str) -> None:
    make, sentence = BAD[case]
    make(tmp_path / "thing")
    with pytest.raises(RequestError, match=sentence):
        inspect_file(tmp_path / "thing")
