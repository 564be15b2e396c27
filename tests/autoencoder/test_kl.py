"""The KL network: parity with diffusers, sizes, shapes, memory formats and precisions."""

from typing import Any

import pytest
import torch
from tests.autoencoder.twins import diffusers_twin, parity, picture, randomised, relative_error
from torch import Tensor

from fictile.autoencoder import FLUX1, KL, SD1, KLSpec
from fictile.errors import RequestError

TINY = KLSpec(widths=(32, 64), layers=1, groups=8)


def network(spec: KLSpec = TINY) -> KL:
    return randomised(KL(spec))


@pytest.mark.parametrize("quant", [True, False])
@pytest.mark.parametrize("mid_attention", [True, False])
@pytest.mark.parametrize("widths", [(32, 64), (16, 16, 48)])
def test_equals_diffusers(widths: tuple[int, ...], mid_attention: bool, quant: bool) -> None:
    ours = network(KLSpec(widths=widths, layers=2, groups=8, quant=quant, mid_attention=mid_attention))
    assert max(parity(ours, diffusers_twin(ours), picture(24, 16))) < 1e-5


def test_a_narrower_decoder_equals_diffusers() -> None:
    ours = network(KLSpec(widths=(16, 16, 32), layers=2, groups=8, decoder_widths=(8, 16, 24)))
    assert max(parity(ours, diffusers_twin(ours, flux2=True), picture(24, 16))) < 1e-5


def test_the_logvar_is_clamped() -> None:
    ours = network()
    assert isinstance(ours.quant_conv, torch.nn.Conv2d)
    ours.quant_conv.weight.mul_(1e4)
    _, logvar = ours.encode(picture(24, 16))
    assert (logvar.amin(), logvar.amax()) == (-30, 20)


@pytest.mark.parametrize(
    ("spec", "encoder", "decoder", "everything"),
    [
        (SD1.spec, 34_163_592, 49_490_179, 83_653_863),
        (FLUX1.spec, 34_274_208, 49_545_475, 83_819_683),
    ],
)
def test_full_sizes(spec: KLSpec, encoder: int, decoder: int, everything: int) -> None:
    with torch.device("meta"):
        built = KL(spec)
    counts = [sum(p.numel() for p in part.parameters()) for part in (built.encoder, built.decoder, built)]
    assert counts == [encoder, decoder, everything]


@pytest.mark.parametrize("stem", [1, 2, 4])
def test_the_stem_multiplies_the_factor(stem: int) -> None:
    spec = KLSpec(widths=(8, 16), layers=1, groups=4, stem=stem)
    ours = network(spec)
    mean, logvar = ours.encode(picture(4 * spec.factor, 2 * spec.factor))
    assert spec.factor == 2 * stem
    assert mean.shape == logvar.shape == (2, 4, 4, 2)
    assert ours.decode(mean).shape == (2, 3, 4 * spec.factor, 2 * spec.factor)


def test_the_stem_folds_squares_of_pixels_into_channels() -> None:
    def folded(pixels: Tensor) -> Tensor:
        return pixels.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)

    ours = network(KLSpec(widths=(8, 16), layers=1, groups=4, stem=2, quant=False))
    mean, _ = ours.encode(picture(24, 16))
    assert torch.equal(mean, ours.encoder(folded(picture(24, 16)))[:, :4])
    assert torch.equal(folded(ours.decode(mean)), ours.decoder(mean))


@pytest.mark.parametrize("spec", [TINY, KLSpec(widths=(8, 16), layers=1, groups=4, stem=2)])
def test_channels_last_changes_nothing(spec: KLSpec) -> None:
    ours = network(spec)
    mean, _ = ours.encode(picture(24, 16))
    pixels = ours.decode(mean)
    ours.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # torch's stubs forget this overload
    last, _ = ours.encode(picture(24, 16).to(memory_format=torch.channels_last))
    assert relative_error(last, mean) < 1e-5
    decoded = ours.decode(mean.to(memory_format=torch.channels_last))
    assert relative_error(decoded, pixels) < 1e-5
    assert ours.decoder.conv_in(mean).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close(dtype: torch.dtype) -> None:
    ours = network()
    expected = ours(picture(24, 16))
    seen = ours.to(dtype)(picture(24, 16).to(dtype))
    assert seen.dtype == dtype
    assert relative_error(seen.float(), expected) < 0.05


def test_autocast_stays_close() -> None:
    ours = network()
    expected = ours(picture(24, 16))
    with torch.autocast("cpu", torch.bfloat16):
        seen = ours(picture(24, 16))
    assert relative_error(seen.float(), expected) < 0.05


@pytest.mark.parametrize("spec", [TINY, KLSpec(widths=(8, 16), layers=1, groups=4, stem=2, mid_attention=False)])
def test_every_parameter_learns(spec: KLSpec) -> None:
    torch.manual_seed(0)
    ours = KL(spec)
    mean, logvar = ours.encode(picture(24, 16))
    (ours.decode(mean) - picture(24, 16)).abs().mean().add(logvar.square().mean()).backward()
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    # A bias on all keys shifts every score of a query alike, which the softmax removes.
    still = [name for name, grad in gradients.items() if grad is None or grad.norm() < 1e-7]
    assert [name for name in still if not name.endswith("to_k.bias")] == []


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"widths": (60, 120), "groups": 32}, "divide by 32 groups"),
        ({"widths": ()}, "no widths"),
        ({"layers": 0}, "below 1"),
        ({"stem": 0}, "below 1"),
        ({"decoder_widths": (32, 50, 64, 96)}, "divide by 32 groups"),
        ({"decoder_widths": (32, 64)}, "4 levels was given"),
    ],
)
def test_a_spec_that_cannot_be_built_is_refused(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        KLSpec(**numbers)
