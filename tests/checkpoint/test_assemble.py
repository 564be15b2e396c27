"""Autoencoders from tensors of any naming: the same network comes out, and what does not fit is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from diffusers.loaders import single_file_utils
from tests.autoencoder.twins import diffusers_twin, picture, random_network
from torch import Tensor

from fictile.autoencoder import (
    FLUX2,
    KNOWN,
    SANA,
    WAN21,
    AnyAutoencoder,
    DCSpec,
    KLSpec,
    Known,
    Normalisation,
    TinySpec,
    WanSpec,
    make_network,
)
from fictile.checkpoint.assemble import assemble_autoencoder
from fictile.checkpoint.autoencoder_names import bare_half, our_names
from fictile.errors import RequestError
from fictile.latent import LatentSpace

Tensors = dict[str, Tensor]

NARROW = TinySpec(channels=4, width=8, decoder_widths=(8,) * 4)
LIKE_SANA = DCSpec(
    channels=4, widths=(8, 16, 32), encoder_layers=(1, 1, 2), decoder_layers=(1, 1, 1), residual_levels=2, head_width=8
)
LIKE_DC_AE = replace(
    LIKE_SANA, encoder_layers=(0, 1, 1), decoder_layers=(0, 1, 1), kernels=(), fold=True, batch_norm=True
)


def known(spec: Any) -> Known:
    """As if it were published."""
    space = LatentSpace(id="test", channels=spec.channels, factor=spec.factor)
    return Known(name="test", spec=spec, normalisation=Normalisation.identity(spec.channels), space=space)


def assembled(spec: Any, tensors: Tensors) -> AnyAutoencoder:
    return assemble_autoencoder(known(spec), tensors, tensors.__getitem__, where="test.pth", content_hash="abc")


def as_taesd(state: Tensors) -> Tensors:
    """ComfyUI's and older files: taesd's numbers, in which the decoder's clamp is layer 0."""
    named: Tensors = {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)}
    for name, tensor in state.items():
        half, _, number, rest = name.split(".", 3)
        named[f"taesd_{half}.{int(number) + (half == 'decoder')}.{rest}"] = tensor
    return named


@pytest.mark.parametrize("naming", [dict[str, Tensor], as_taesd], ids=["diffusers", "taesd"])
@pytest.mark.parametrize("pool", [False, True])
def test_a_tiny_autoencoder_comes_of_either_naming(naming: Callable[[Tensors], Tensors], pool: bool) -> None:
    network = random_network(replace(NARROW, pool=pool), 0.2)
    built = assembled(network.spec, naming(network.half().state_dict()))
    assert built.content_hash == "abc"
    network.float()
    assert torch.equal(built.network.encode(picture(16, 16))[0], network.encode(picture(16, 16))[0])
    z = torch.randn(1, 4, 2, 2)
    assert torch.equal(built.network.decode(z), network.decode(z))


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_half_a_tiny_autoencoder_comes_of_a_file_of_its_own(half: str) -> None:
    network = random_network(NARROW, 0.2)
    prefix = f"taesd_{half}."
    bare = {
        name.removeprefix(prefix): tensor
        for name, tensor in as_taesd(network.state_dict()).items()
        if name.startswith(prefix)
    }
    assert bare_half(bare) == half
    built = assembled(NARROW, bare)
    assert isinstance(built.spec, TinySpec)
    assert (built.spec.encodes, built.spec.decodes) == (half == "encoder", half == "decoder")
    expected = network.get_submodule(half).state_dict()
    torch.testing.assert_close(built.network.get_submodule(half).state_dict(), expected, rtol=0, atol=0)


def test_mixed_names_are_no_half() -> None:
    assert bare_half(["0.weight", "conv.weight"]) is None


def wan_original(spec: WanSpec) -> list[str]:
    """The names in Wan's own files, written down from its classes."""

    def resnet(place: str, *, shortcut: bool) -> list[str]:
        names = [f"{place}.residual.{norm}.gamma" for norm in (0, 3)]
        names += [f"{place}.residual.{number}.{kind}" for number in (2, 6) for kind in ("weight", "bias")]
        return names + [f"{place}.shortcut.{kind}" for kind in ("weight", "bias") if shortcut]

    def resample(place: str, *, temporal: bool) -> list[str]:
        parts = ["resample.1", *(["time_conv"] if temporal else [])]
        return [f"{place}.{part}.{kind}" for part in parts for kind in ("weight", "bias")]

    names = [f"{conv}.{kind}" for conv in ("conv1", "conv2") for kind in ("weight", "bias")]
    for half in ("encoder", "decoder"):
        names += [f"{half}.{part}.{kind}" for part in ("conv1", "head.2") for kind in ("weight", "bias")]
        names += [f"{half}.head.0.gamma", f"{half}.middle.1.norm.gamma"]
        names += [f"{half}.middle.1.{part}.{kind}" for part in ("to_qkv", "proj") for kind in ("weight", "bias")]
        names += [name for number in (0, 2) for name in resnet(f"{half}.middle.{number}", shortcut=False)]
    number, inputs = 0, spec.widths[0]
    for level, width in enumerate(spec.widths):
        for _ in range(spec.layers):
            names += resnet(f"encoder.downsamples.{number}", shortcut=inputs != width)
            number, inputs = number + 1, width
        if level < len(spec.temporal):
            names += resample(f"encoder.downsamples.{number}", temporal=spec.temporal[level])
            number += 1
    number, inputs = 0, spec.widths[-1]
    for level, width in enumerate(spec.widths[::-1]):
        for _ in range(spec.layers + 1):
            names += resnet(f"decoder.upsamples.{number}", shortcut=inputs != width)
            number, inputs = number + 1, width
        if level < len(spec.temporal):
            names += resample(f"decoder.upsamples.{number}", temporal=spec.temporal[::-1][level])
            number, inputs = number + 1, width // 2
    return names


def test_wans_own_names_are_read_as_diffusers_reads_them() -> None:
    theirs = wan_original(WanSpec())
    with torch.device("meta"):
        network = make_network(WanSpec())
    converted = single_file_utils.convert_wan_vae_to_diffusers({name: name for name in theirs})
    expected = {theirs: (ours,) for ours, theirs in cast(dict[str, str], converted).items()}
    assert our_names(WanSpec(), theirs) == expected
    assert {name for (name,) in expected.values()} == set(network.state_dict())


def test_a_wan_autoencoder_comes_of_either_naming() -> None:
    spec = WanSpec(channels=4, widths=(8, 16, 32, 32), layers=2)
    network = random_network(spec)
    state: Tensors = network.state_dict()
    back = {ours: theirs for theirs, (ours,) in our_names(spec, wan_original(spec)).items()}
    for tensors in (state, {back[name]: tensor for name, tensor in state.items()}):
        built = assembled(spec, tensors)
        assert torch.equal(built.network.encode(picture(16, 16))[0], network.encode(picture(16, 16))[0])
        torch.testing.assert_close(built.network.state_dict(), state, rtol=0, atol=0)


def dc_original(state: Tensors, spec: DCSpec) -> Tensors:
    """The tensors of a DC-AE as its own code names them, written down from its classes."""
    ends = {
        "attn.to_qkv_multiscale.0.proj_in": "context_module.main.aggreg.0.0",
        "attn.to_qkv_multiscale.0.proj_out": "context_module.main.aggreg.0.1",
        "attn.to_out": "context_module.main.proj.conv",
        "attn.norm_out": "context_module.main.proj.norm",
        "conv_out.conv_inverted": "local_module.main.inverted_conv.conv",
        "conv_out.conv_depth": "local_module.main.depth_conv.conv",
        "conv_out.conv_point": "local_module.main.point_conv.conv",
        "conv_out.norm": "local_module.main.point_conv.norm",
        "conv1": "main.conv1.conv",
        "conv2": "main.conv2.conv",
        "norm": "main.conv2.norm",
    }
    whole = {
        "encoder.conv_in": "encoder.project_in.conv",
        "encoder.conv_in.conv": "encoder.project_in.conv.conv",
        "encoder.conv_out": "encoder.project_out.main.op_list.0.conv",
        "decoder.conv_in": "decoder.project_in.main.conv",
        "decoder.norm_out": "decoder.project_out.op_list.0",
        "decoder.conv_out": "decoder.project_out.op_list.2.conv",
        "decoder.conv_out.conv": "decoder.project_out.op_list.2.conv.conv",
    }
    named: Tensors = {}
    for name, tensor in state.items():
        module, _, parameter = name.rpartition(".")
        if module in whole:
            named[f"{whole[module]}.{parameter}"] = tensor
            continue
        half, blocks, level, number, end = module.split(".", 4)
        place = f"{half}.stages.{level}.op_list.{number}"
        if end in ("attn.to_k", "attn.to_v"):
            continue
        if end == "attn.to_q":
            parts = [state[f"{module[:-1]}{part}.weight"] for part in "qkv"]
            named[f"{place}.context_module.main.qkv.conv.weight"] = torch.cat(parts)[:, :, None, None]
        elif end == "conv":  # strided convolutions stand alone, the others in a layer of their own
            inner = "conv" if blocks == "down_blocks" and not spec.fold else "conv.conv"
            named[f"{place}.main.{inner}.{parameter}"] = tensor
        else:
            stored = tensor[:, :, None, None] if end == "attn.to_out" else tensor
            named[f"{place}.{ends[end]}.{parameter}"] = stored
    return named


@pytest.mark.parametrize("spec", [LIKE_SANA, LIKE_DC_AE], ids=["sana", "dc-ae"])
def test_a_dc_ae_comes_of_either_naming(spec: DCSpec) -> None:
    network = random_network(spec)
    state: Tensors = network.state_dict()
    original = dc_original(state, spec)
    converted = single_file_utils.convert_autoencoder_dc_checkpoint_to_diffusers(dict(original))
    torch.testing.assert_close(cast(Tensors, converted), state, rtol=0, atol=0)
    uncounted = {name: tensor for name, tensor in original.items() if not name.endswith("num_batches_tracked")}
    for tensors in (state, original, uncounted):
        built = assembled(spec, tensors)
        torch.testing.assert_close(built.network.state_dict(), state, rtol=0, atol=0)
        assert torch.equal(built.network.encode(picture(16, 16))[0], network.encode(picture(16, 16))[0])


def test_flux2_normalises_as_its_pipeline_does() -> None:
    spec = KLSpec(widths=(8, 16), layers=1, groups=4, channels=32)
    twin = diffusers_twin(random_network(spec), flux2=True)
    twin.bn.running_mean.copy_(torch.randn(128, generator=torch.Generator().manual_seed(2)))
    twin.bn.running_var.copy_(torch.rand(128, generator=torch.Generator().manual_seed(3)) + 2)
    space = LatentSpace(id="test", channels=128, factor=4)
    tensors: Tensors = twin.state_dict()
    built = assemble_autoencoder(
        replace(FLUX2, spec=spec, space=space), tensors, tensors.__getitem__, where="flux2.safetensors"
    )
    latent = built.encode(picture(16, 24)).mode()
    raw = twin.encode(picture(16, 24)).latent_dist.mode()
    batch, channels, height, width = raw.shape
    cells = raw.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    folded = cells.reshape(batch, channels * 4, height // 2, width // 2)
    torch.testing.assert_close(latent.data, twin.bn(folded), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(built.decode(latent), twin.decode(raw).sample, rtol=1e-4, atol=1e-4)


def test_flux2_without_its_statistics_is_refused() -> None:
    spec = KLSpec(widths=(8, 16), layers=1, groups=4, channels=32)
    tensors: Tensors = random_network(spec).state_dict()
    with pytest.raises(RequestError, match=r"lacks bn.running_mean, bn.running_var, which say how"):
        assemble_autoencoder(replace(FLUX2, spec=spec), tensors, tensors.__getitem__, where="flux2.safetensors")


def test_what_does_not_fit_is_refused() -> None:
    tensors: Tensors = random_network(NARROW).state_dict()
    with pytest.raises(RequestError, match=r"in test.pth lacks 1 of \d+ tensors \(encoder.layers.0.bias\); get"):
        assembled(NARROW, {name: tensor for name, tensor in tensors.items() if name != "encoder.layers.0.bias"})
    with pytest.raises(RequestError, match=r"has 1 unexpected ones \(odd\); get"):
        assembled(NARROW, tensors | {"odd": torch.zeros(1)})
    with pytest.raises(RequestError, match=r"encoder.layers.0.bias is \(9,\), but \(8,\) was expected"):
        assembled(NARROW, tensors | {"encoder.layers.0.bias": torch.zeros(9)})
    with pytest.raises(RequestError, match=r"lacks .* and \d+ more\); get"):
        assembled(NARROW, {})


def test_every_known_autoencoder_can_be_made_but_for_its_weights() -> None:
    for entry in KNOWN.values():
        with torch.device("meta"):
            network = make_network(entry.spec)
        assert set(our_names(entry.spec, list(network.state_dict()))) == set(network.state_dict())
    assert (SANA.space.factor, WAN21.space.channels) == (32, 16)
