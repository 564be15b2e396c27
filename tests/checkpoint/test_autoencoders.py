"""One door to every autoencoder: folders of each class of diffusers, files of each kind, and pairs of files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.autoencoder.twins import picture, random_network
from tests.checkpoint.headers import shapes, weights
from tests.checkpoint.small_autoencoders import SMALL
from tests.tiny_model import tiny_autoencoder, tiny_folder
from torch import Tensor

from fictile.autoencoder import (
    KNOWN,
    WAN21,
    KLSpec,
    Normalisation,
    NormalisedAutoencoder,
    published,
)
from fictile.checkpoint import inspect_file, open_autoencoder, read_autoencoder, save_autoencoder
from fictile.checkpoint.autoencoder_configs import autoencoder_config, autoencoder_part
from fictile.checkpoint.identify import identified
from fictile.checkpoint.keys import nested_kl, plain
from fictile.checkpoint.released import released_in
from fictile.errors import RequestError


@pytest.mark.parametrize("kind", SMALL)
def test_a_folder_of_each_class_is_opened(tmp_path: Path, kind: str) -> None:
    spec, network = SMALL[kind].spec, SMALL[kind].network()
    SMALL[kind].twin().save_pretrained(tmp_path / "vae")
    opened = open_autoencoder(tmp_path / "vae")
    assert opened.parts["vae"].spec == spec
    assert (opened.identity.kind, opened.identity.problems, opened.space) == ("autoencoder", (), None)
    built = read_autoencoder(opened)
    mean = network.encode(picture(32, 32))[0]
    with torch.no_grad():
        torch.testing.assert_close(built.network.encode(picture(32, 32))[0], mean, rtol=1e-5, atol=1e-6)
        # Sums are taken in another order where the memory lies otherwise: a few float32 steps of the largest value.
        torch.testing.assert_close(built.network.decode(mean), network.decode(mean), rtol=1e-5, atol=1e-5)
    assert inspect_file(tmp_path / "vae").networks[0].parameters > 1000
    if kind in ("wan", "qwen-image"):
        assert WAN21.normalisation is not None
        torch.testing.assert_close(built.normalisation.scale, WAN21.normalisation.scale)


@pytest.mark.parametrize("kind", SMALL)
def test_what_is_written_of_a_spec_reads_as_that_spec(tmp_path: Path, kind: str) -> None:
    spec = SMALL[kind].spec
    config = autoencoder_config(SMALL[kind].kind.__name__, spec, None)
    save_file(SMALL[kind].network().state_dict(), tmp_path / "diffusion_pytorch_model.safetensors")
    assert autoencoder_part(tmp_path, config).spec == spec
    theirs = SMALL[kind].twin(weights=False).config
    for name, value in config.items():
        if name in theirs and name not in (
            "latents_mean",
            "latents_std",
            "scaling_factor",
            "shift_factor",
            "force_upcast",
        ):
            assert json.loads(json.dumps(theirs[name])) == value, name  # diffusers' tuples as the lists of a file


def test_a_kl_configuration_from_before_the_scale_has_diffusers_default(tmp_path: Path) -> None:
    """As that of Stable Diffusion 1.5's own folder, whose latents would otherwise be five times too large."""
    twin = SMALL["sd1"].twin()
    twin.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"scaling_factor"', '"scaling_factor_of_another_age"'))
    assert read_autoencoder(open_autoencoder(tmp_path)).normalisation == Normalisation.scalar(0.18215, 0.0, 4)


def test_the_file_the_model_and_the_folder_of_a_model_of_ours_are_opened(tmp_path: Path) -> None:
    save_autoencoder(tiny_autoencoder(), tmp_path / "vae.safetensors")
    for place in (tmp_path / "vae.safetensors", tiny_folder(tmp_path / "model")):
        opened = open_autoencoder(place)
        assert (opened.told, read_autoencoder(opened).name) == ("metadata", "tiny")
    ours = NormalisedAutoencoder(SMALL["tiny"].network(), Normalisation.identity(4), "small")
    save_autoencoder(ours, tmp_path / "small.safetensors")
    assert read_autoencoder(open_autoencoder(tmp_path / "small.safetensors")).space == ours.space


@pytest.mark.parametrize("first", ["encoder", "decoder"])
def test_two_halves_that_lie_beside_one_another_are_one(tmp_path: Path, first: str) -> None:
    network = random_network(KNOWN["taesd"].spec, 0.2)
    state: dict[str, Tensor] = network.state_dict()
    for half, skipped in (("encoder", 0), ("decoder", 1)):  # in taesd's own files the decoder's clamp is layer 0
        tensors: dict[str, Tensor] = {}
        for name, tensor in state.items():
            if name.startswith(f"{half}.layers."):
                number, rest = name.removeprefix(f"{half}.layers.").split(".", 1)
                tensors[f"{int(number) + skipped}.{rest}"] = tensor
        torch.save(tensors, tmp_path / f"taesd_{half}.pth")
    opened = open_autoencoder(tmp_path / f"taesd_{first}.pth")
    assert len(opened.files) == 2
    assert "beside it" in opened.identity.notes[0]
    assert [known.name for known in opened.candidates] == ["taesd", "taesdxl"]
    built = read_autoencoder(opened, space=KNOWN["taesd"].space)
    torch.testing.assert_close(built.network.state_dict(), state, rtol=0, atol=0)
    second = "decoder" if first == "encoder" else "encoder"
    (tmp_path / f"taesd_{second}.pth").unlink()
    alone = open_autoencoder(tmp_path / f"taesd_{first}.pth").parts["vae"].spec
    assert alone == replace(network.spec, encodes=first == "encoder", decodes=first == "decoder")


@pytest.mark.parametrize("name", ["taesd", "taesd3", "taef2", "taesana", "wan21", "sana", "dc-ae-f64c128-in"])
def test_a_released_network_is_told_by_its_tensors(name: str) -> None:
    spec = KNOWN[name].spec
    tensors = shapes(spec, plain)
    found = released_in(weights(tensors))
    assert found == (spec, "diffusers")
    assert KNOWN[name] in published(spec)
    damaged = {name: shape for name, shape in tensors.items() if name != min(tensors)}
    assert released_in(weights(damaged)) == found, "one that lacks a tensor is told, and then refused for that"


def test_flux2s_own_names_are_read() -> None:
    spec = KNOWN["flux2-small-decoder"].spec
    assert isinstance(spec, KLSpec)
    tensors = shapes(spec, nested_kl(spec))
    assert "encoder.quant_conv.weight" in tensors
    identity, parts = identified(weights({**tensors, "bn.running_mean": (128,), "bn.running_var": (128,)}))
    assert (parts["vae"].spec, parts["vae"].naming, identity.problems) == (spec, "nested ldm", ())


def test_what_has_no_autoencoder_or_no_units_is_refused(tmp_path: Path) -> None:
    save_file({"lora_unet_a.lora_up.weight": torch.zeros(2, 2)}, tmp_path / "lora.safetensors")
    with pytest.raises(RequestError, match="is a LoRA"):
        open_autoencoder(tmp_path / "lora.safetensors")
    save_file(random_network(KLSpec(widths=(32, 32), layers=1)).state_dict(), tmp_path / "vae.safetensors")
    with pytest.raises(RequestError, match=r"does not say in which units .* of a size that was never published"):
        read_autoencoder(open_autoencoder(tmp_path / "vae.safetensors"))
