"""Native weight files: what is saved comes back, and what is no such file is refused in one sentence."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.autoencoder.twins import random_network
from tests.tiny_model import tiny_autoencoder, tiny_text, tiny_unet
from torch import Tensor, nn

from fictile.autoencoder import DCSpec, KLSpec, Normalisation, NormalisedAutoencoder, Spec, TinySpec, WanSpec
from fictile.checkpoint import (
    content_hash,
    load_autoencoder,
    load_text,
    load_unet,
    save_autoencoder,
    save_text,
    save_unet,
)
from fictile.errors import RequestError


def weights(network: nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


def test_an_autoencoder_comes_back_whole(tmp_path: Path) -> None:
    saved = tiny_autoencoder(stem=2, quant=False)
    save_autoencoder(saved, tmp_path / "vae.safetensors", torch.float32)
    loaded = load_autoencoder(tmp_path / "vae.safetensors")
    assert (loaded.spec, loaded.normalisation, loaded.name, loaded.space) == (
        saved.spec,
        saved.normalisation,
        saved.name,
        saved.space,
    )
    assert loaded.content_hash == content_hash(tmp_path / "vae.safetensors")
    pixels = torch.rand(1, 3, 16, 24)
    assert torch.equal(loaded.encode(pixels).mean, saved.encode(pixels).mean)


@pytest.mark.parametrize(
    "spec",
    [
        KLSpec(widths=(8, 16), layers=1, groups=4, decoder_widths=(4, 8)),
        DCSpec(
            channels=4,
            widths=(8, 16, 16),
            encoder_layers=(0, 1, 1),
            decoder_layers=(0, 1, 1),
            residual_levels=2,
            head_width=8,
            fold=True,
            batch_norm=True,
        ),
        WanSpec(channels=4, widths=(8, 16), layers=1, temporal=(True,)),
        TinySpec(width=8, decoder_widths=(8,) * 4, pool=True),
        TinySpec(width=8, decoder_widths=(8,) * 4, decodes=False),
    ],
    ids=["kl", "dc", "wan", "tiny", "encoder"],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_an_autoencoder_of_any_kind_comes_back_whole(tmp_path: Path, spec: Spec, dtype: torch.dtype) -> None:
    saved = NormalisedAutoencoder(random_network(spec), Normalisation.scalar(0.5, 0.1, 16, patch=2), "any")
    save_autoencoder(saved, tmp_path / "vae.safetensors", dtype)
    loaded = load_autoencoder(tmp_path / "vae.safetensors")
    assert (loaded.spec, loaded.normalisation, loaded.space) == (saved.spec, saved.normalisation, saved.space)
    rounded = {name: tensor.to(dtype).float() for name, tensor in weights(saved.network).items()}
    torch.testing.assert_close(weights(loaded.network), rounded, rtol=0, atol=0, check_dtype=False)
    again = tmp_path / "again.safetensors"
    save_autoencoder(loaded, again, dtype)
    assert again.read_bytes() == (tmp_path / "vae.safetensors").read_bytes()


def test_an_autoencoder_that_says_no_kind_is_a_kl_one(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save_autoencoder(tiny_autoencoder(), path)

    def as_version_0_1(about: dict[str, Any]) -> None:
        del about["network"], about["spec"]["decoder_widths"], about["normalisation"]["patch"]

    edit(path, as_version_0_1)
    assert load_autoencoder(path).spec == tiny_autoencoder().spec
    edit(path, lambda about: about.update(network="quantised"))
    with pytest.raises(RequestError, match="autoencoder of kind 'quantised', which this version"):
        load_autoencoder(path)


def test_a_unet_and_a_text_encoder_come_back_whole(tmp_path: Path) -> None:
    unet, text = tiny_unet(), tiny_text().network
    save_unet(unet, tmp_path / "unet.safetensors", torch.float32)
    save_text(text, tmp_path / "text.safetensors", torch.float32)
    for saved, loaded in (
        (unet, load_unet(tmp_path / "unet.safetensors")),
        (text, load_text(tmp_path / "text.safetensors")),
    ):
        assert loaded.spec == saved.spec
        assert not loaded.training
        torch.testing.assert_close(weights(loaded), weights(saved), rtol=0, atol=0)


def test_half_precision_on_disk_is_full_precision_in_memory_and_saves_to_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save_unet(tiny_unet(), first)
    loaded = load_unet(first)
    assert {tensor.dtype for tensor in weights(loaded).values()} == {torch.float32}
    save_unet(loaded, second)
    assert first.read_bytes() == second.read_bytes()


def test_a_fine_tuned_decoder_keeps_its_latent_space_through_a_file(tmp_path: Path) -> None:
    autoencoder = tiny_autoencoder()
    with torch.no_grad():
        autoencoder.network.get_parameter("decoder.conv_out.bias").add_(1)
    save_autoencoder(autoencoder, tmp_path / "vae.safetensors")
    assert load_autoencoder(tmp_path / "vae.safetensors").space == autoencoder.space


def test_weights_that_the_type_cannot_hold_are_not_written(tmp_path: Path) -> None:
    unet = tiny_unet()
    with torch.no_grad():
        unet.get_parameter("conv_in.bias")[0] = 1e6
    with pytest.raises(RequestError, match=r"conv_in.bias has values that float16 cannot hold \(largest 1e\+06\)"):
        save_unet(unet, tmp_path / "unet.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no folder"):
        save_unet(tiny_unet(), tmp_path / "none" / "unet.safetensors")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def scramble_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 8) + b"{garbage")


def bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


def torch_pickle(path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, path)


def foreign(path: Path) -> None:
    save_file({"a": torch.zeros(3), "b": torch.zeros(2)}, path)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite what the file says of itself."""
    size = struct.unpack("<Q", path.read_bytes()[:8])[0]
    header = json.loads(path.read_bytes()[8 : 8 + size])
    about = json.loads(header["__metadata__"]["fictile"])
    change(about)
    header["__metadata__"]["fictile"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + path.read_bytes()[8 + size :])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (cut, r"is truncated: \d+ of \d+ bytes"),
    "cut in the header": (cut_in_the_header, r"is truncated: 50 of at least \d+ bytes"),
    "too long": (lengthen, "damaged safetensors file"),
    "broken header": (scramble_header, "damaged safetensors file"),
    "huge header": (
        lambda path: path.write_bytes(b"\xff" * 5 + b"\0\0\0{"),
        r"claims a header of 1,099,511,627,775 bytes, but the format allows 100,000,000",
    ),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "git lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "Git LFS pointer",
    ),
    "html": (lambda path: path.write_text("\n<!DOCTYPE html><html>not found</html>"), "web page"),
    "pickle": (bare_pickle, "Python pickle"),
    "torch pickle": (torch_pickle, "Python pickle"),
    "gguf": (lambda path: path.write_bytes(b"GGUF\3\0\0\0"), "GGUF"),
    "text": (lambda path: path.write_text("hello, I am a text"), "no safetensors file"),
    "foreign": (foreign, "2 tensors that Fictile did not write"),
    "missing": (lambda path: path.unlink(), "does not exist"),
    "another kind": (lambda path: save_text(tiny_text().network, path), "holds a text encoder, but a U-Net"),
    "newer version": (lambda path: edit(path, lambda about: about.update(version=2)), "version 2, which this version"),
    "no version": (lambda path: edit(path, lambda about: about.pop("version")), "is damaged"),
    "no spec": (
        lambda path: edit(path, lambda about: about.pop("spec")),
        "expected for the spec in .*, but it is None",
    ),
    "unknown field": (
        lambda path: edit(path, lambda about: about.update(spec={"widths": [8], "colour": 1})),
        "unknown fields colour stand in the spec in .*; it was written by another version",
    ),
    "wrong type": (
        lambda path: edit(path, lambda about: about.update(spec={"widths": "8"})),
        "The value '8' does not fit widths in",
    ),
    "another spec": (
        lambda path: edit(path, lambda about: about["spec"].update(layers=2)),
        r"lacks 96 of 304 tensors \(down_blocks\.0\.resnets\.1\..* and \d+ more\);",
    ),
    "another width": (
        lambda path: edit(path, lambda about: about["spec"].update(context_width=8)),
        r"to_k\.weight is \(16, 16\), but \(16, 8\) was expected",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "unet.safetensors"
    save_unet(tiny_unet(), path)
    spoil, sentence = BAD_FILES[case]
    spoil(path)
    with pytest.raises(RequestError, match=sentence) as refused:
        load_unet(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "sprung",)

    (tmp_path / "model.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(RequestError, match="can run any code"):
        load_unet(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_header_as_long_as_a_pickle_begins_is_still_a_safetensors_file(tmp_path: Path) -> None:
    text = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'.ljust(0x0280)
    (tmp_path / "file").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(RequestError, match="1 tensors that Fictile did not write"):
        load_unet(tmp_path / "file")
