"""The tiny autoencoders: parity with diffusers, and with a plain reading of taesd.py where diffusers has none."""

import math
from typing import Any

import pytest
import torch
from tests.autoencoder.twins import diffusers_twin, parity, picture, random_network, relative_error
from torch import Tensor, nn
from torch.nn import functional as F

from fictile.autoencoder import KNOWN, Normalisation, NormalisedAutoencoder, Tiny, TinySpec, make_network
from fictile.errors import RequestError
from fictile.latent import SPACES

NARROW = TinySpec(channels=5, width=8, decoder_widths=(8,) * 4)


def test_equals_diffusers() -> None:
    ours = random_network(NARROW, 0.1)
    assert max(parity(ours, diffusers_twin(ours), picture(32, 48))) < 1e-5


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [
        ("taesd", 1_222_532, 1_222_531),  # its README
        ("taef1", 1_229_456, 1_229_443),
        ("taef2", 1_338_528, 1_338_499),
        ("taesana", 1_256_288, 8_301_763),
    ],
)
def test_full_sizes(name: str, encoder: int, decoder: int) -> None:
    spec = KNOWN[name].spec
    with torch.device("meta"):
        built = make_network(spec)
    assert isinstance(built, Tiny)
    assert built.encoder
    assert built.decoder
    counts = [sum(p.numel() for p in part.parameters()) for part in (built.encoder, built.decoder)]
    assert counts == [encoder, decoder]


def conv(x: Tensor, weights: dict[str, Tensor], name: str, stride: int = 1) -> Tensor:
    weight = weights[f"{name}.weight"]
    return F.conv2d(x, weight, weights.get(f"{name}.bias"), stride, padding=weight.shape[-1] // 2)


def block(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    """One block as taesd.py has it: the group norm branch first, if there is one."""
    if f"{name}.pool.0.weight" in weights:
        y = conv(x, weights, f"{name}.pool.0")
        y = F.group_norm(y, 4, weights[f"{name}.pool.1.weight"], weights[f"{name}.pool.1.bias"])
        x = x + conv(y.relu(), weights, f"{name}.pool.3")
    y = conv(conv(x, weights, f"{name}.conv.0").relu(), weights, f"{name}.conv.2").relu()
    return (x + conv(y, weights, f"{name}.conv.4")).relu()


def by_hand(network: Tiny, half: str, x: Tensor, *, strided: tuple[int, ...], repeated: tuple[int, ...]) -> Tensor:
    """The layers in the order of their numbers: `strided` convolutions halve, `repeated` ones come after a doubling;
    those that stand right after another convolution come after a ReLU.
    """
    weights = {
        name.removeprefix(f"{half}.layers."): weight
        for name, weight in network.state_dict().items()
        if name.startswith(half)
    }
    numbers = sorted({int(name.partition(".")[0]) for name in weights})
    for number in numbers:
        if f"{number}.conv.0.weight" in weights:
            x = block(x, weights, str(number))
            continue
        if number in repeated:
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = conv(x, weights, str(number), stride=2 if number in strided else 1)
        if number + 1 not in numbers and number != numbers[-1]:  # the next number is a ReLU's
            x = x.relu()
    return x


def test_the_group_norm_branch_is_that_of_taesd() -> None:
    ours = random_network(TinySpec(channels=3, width=8, decoder_widths=(8,) * 4, pool=True), 0.2)
    pixels = picture(32, 48)
    z, logvar = ours.encode(pixels)
    expected = by_hand(ours, "encoder", pixels / 2 + 0.5, strided=(2, 6, 10), repeated=())
    assert relative_error(z, expected) < 1e-5
    assert bool((logvar == -math.inf).all())
    seen = by_hand(ours, "decoder", torch.tanh(z / 3) * 3, strided=(), repeated=(6, 11, 16))
    assert relative_error(ours.decode(z), seen * 2 - 1) < 1e-5


def test_the_strided_stem_is_that_of_taesd() -> None:
    spec = TinySpec(
        channels=4,
        width=8,
        stem_widths=(4,),
        decoder_layers=(1, 3, 3, 3, 3, 3),
        decoder_widths=(8, 8, 8, 8, 12, 16),
    )
    ours = random_network(spec, 0.2)
    pixels = picture(64, 32)
    z, _ = ours.encode(pixels)
    assert z.shape == (2, 4, 2, 1)
    expected = by_hand(ours, "encoder", pixels / 2 + 0.5, strided=(0, 2, 5, 9, 13), repeated=())
    assert relative_error(z, expected) < 1e-5
    seen = by_hand(ours, "decoder", torch.tanh(z / 3) * 3, strided=(), repeated=(6, 11, 16, 21, 26))
    assert relative_error(ours.decode(z), seen * 2 - 1) < 1e-5


def test_a_sample_of_a_certain_latent_is_the_latent() -> None:
    network = random_network(NARROW)
    autoencoder = NormalisedAutoencoder(network, Normalisation.identity(5), "tiny")
    posterior = autoencoder.encode(picture(16, 16))
    assert torch.equal(posterior.sample(torch.Generator().manual_seed(0)).data, posterior.mode().data)


def test_folded_latents_are_those_of_the_space() -> None:
    network = random_network(TinySpec(channels=32, width=8, decoder_widths=(8,) * 4, pool=True))
    known = KNOWN["taef2"]
    assert known.normalisation
    autoencoder = NormalisedAutoencoder(network, known.normalisation, "taef2", known.space)
    latent = autoencoder.encode(picture(32, 48)).mode()
    assert latent.space == SPACES["flux2"]
    assert latent.data.shape == (2, 128, 2, 3)
    cells = latent.data.unflatten(1, (32, 2, 2))  # channel first, then row, then column
    z, _ = network.encode(picture(32, 48))
    assert torch.equal(cells[:, :, 1, 0], z[:, :, 1::2, 0::2])
    assert torch.equal(autoencoder.decode(latent), network.decode(z))


@pytest.mark.parametrize(("there", "missing"), [("encodes", "decode"), ("decodes", "encode")])
def test_half_an_autoencoder_says_which_half_is_missing(there: str, missing: str) -> None:
    half = TinySpec(
        channels=5, width=8, decoder_widths=(8,) * 4, encodes=there == "encodes", decodes=there == "decodes"
    )
    network = random_network(half)
    assert isinstance(network.decoder if there == "encodes" else network.encoder, type(None))
    assert isinstance(network.encoder if there == "encodes" else network.decoder, nn.Module)
    autoencoder = NormalisedAutoencoder(network, Normalisation.identity(5), "half")
    whole = NormalisedAutoencoder(random_network(NARROW), Normalisation.identity(5), "whole", autoencoder.space)
    latent = whole.encode(picture(16, 16)).mode()
    with pytest.raises(RequestError, match=rf"load its {missing}r's file too to {missing}"):
        _ = autoencoder.decode(latent) if there == "encodes" else autoencoder.encode(picture(16, 16))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"encoder_layers": ()}, "no layers|given"),
        ({"width": 0}, "below 1"),
        ({"decoder_widths": (64,)}, "1 levels was given"),
        ({"stem_widths": (32,)}, "4 levels was given"),
        ({"encodes": False, "decodes": False}, "neither"),
    ],
)
def test_a_spec_that_cannot_be_built_is_refused(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        TinySpec(**numbers)
