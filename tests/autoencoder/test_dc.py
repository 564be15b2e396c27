"""The deep-compression autoencoder: parity with diffusers, and sizes."""

from typing import Any

import pytest
import torch
from tests.autoencoder.twins import diffusers_twin, parity, picture, random_network, relative_error

from fictile.autoencoder import DC, KNOWN, SANA, DCSpec
from fictile.errors import RequestError

LIKE_SANA = DCSpec(
    channels=4,
    widths=(8, 16, 16, 32),
    encoder_layers=(1, 2, 1, 2),
    decoder_layers=(2, 1, 1, 1),
    residual_levels=2,
    head_width=8,
)
LIKE_DC_AE = DCSpec(
    channels=8,
    widths=(8, 16, 32, 32),
    encoder_layers=(0, 2, 1, 2),
    decoder_layers=(0, 1, 1, 2),
    residual_levels=2,
    head_width=8,
    kernels=(),
    fold=True,
    batch_norm=True,
)


@pytest.mark.parametrize("side", [16, 64])  # of few cells, diffusers computes attention in another order
@pytest.mark.parametrize("spec", [LIKE_SANA, LIKE_DC_AE], ids=["sana", "dc-ae"])
def test_equals_diffusers(spec: DCSpec, side: int) -> None:
    ours = random_network(spec)
    assert max(parity(ours, diffusers_twin(ours), picture(side, side + 16))) < 1e-5


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("sana", 312_250_275),
        ("dc-ae-f32c32-in", 323_356_460),
        ("dc-ae-f64c128-in", 676_896_140),
        ("dc-ae-f128c512-in", 1_120_682_252),
    ],
)
def test_full_sizes_are_those_of_diffusers(name: str, parameters: int) -> None:
    spec = KNOWN[name].spec
    assert isinstance(spec, DCSpec)
    with torch.device("meta"):
        built = DC(spec)
        twin = diffusers_twin(built, weights=False)
    shapes = {name: tensor.shape for name, tensor in built.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in twin.state_dict().items()}
    assert sum(parameter.numel() for parameter in built.parameters()) == parameters


def test_half_precision_stays_close() -> None:
    ours = random_network(LIKE_SANA)
    expected = ours.decode(ours.encode(picture(16, 16))[0])
    half = random_network(LIKE_SANA).to(torch.bfloat16)
    seen = half.decode(half.encode(picture(16, 16).bfloat16())[0])
    assert seen.dtype == torch.bfloat16
    assert relative_error(seen.float(), expected) < 0.05


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"widths": ()}, "no widths"),
        ({"encoder_layers": (2, 2, 2, 0, 3, 3)}, "no layers"),
        ({"encoder_layers": (2, 2, 2)}, "6 levels was given"),
        ({"encoder_layers": (0, 2, 2, 2, 2, 2)}, "on one side only"),
        ({"channels": 30}, "do not divide into 30 channels"),
        ({"head_width": 48}, "heads of 48"),
        ({"widths": (128, 256, 512, 512, 1024, 8192)}, "grow too fast"),
    ],
)
def test_a_spec_that_cannot_be_built_is_refused(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        DCSpec(**numbers)


def test_sana_is_the_default() -> None:
    assert SANA.spec == DCSpec()
