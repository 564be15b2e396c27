"""The KL network: parity with diffusers, sizes, shapes, memory formats and precisions."""

from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from fictile.autoencoder import FLUX1, KL, SD1, KLSpec
from fictile.errors import RequestError

TINY = KLSpec(widths=(32, 64), layers=1, groups=8)


def relative_error(seen: Tensor, expected: Tensor) -> float:
    return float((seen - expected).norm() / expected.norm())


def picture(height: int = 24, width: int = 16) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def network(spec: KLSpec = TINY) -> KL:
    """A network with every parameter random, norms and biases included."""
    built = KL(spec).requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return built


def diffusers_twin(ours: KL) -> Any:
    spec = ours.spec
    levels = len(spec.widths)
    twin: Any = AutoencoderKL.from_config(
        {
            "down_block_types": ("DownEncoderBlock2D",) * levels,
            "up_block_types": ("UpDecoderBlock2D",) * levels,
            "block_out_channels": spec.widths,
            "layers_per_block": spec.layers,
            "latent_channels": spec.channels,
            "norm_num_groups": spec.groups,
            "use_quant_conv": spec.quant,
            "use_post_quant_conv": spec.quant,
            "mid_block_add_attention": spec.mid_attention,
        }
    )
    twin.load_state_dict(ours.state_dict())
    return twin.requires_grad_(False)


@pytest.mark.parametrize("quant", [True, False])
@pytest.mark.parametrize("mid_attention", [True, False])
@pytest.mark.parametrize("widths", [(32, 64), (16, 16, 48)])
def test_equals_diffusers(widths: tuple[int, ...], mid_attention: bool, quant: bool) -> None:
    ours = network(KLSpec(widths=widths, layers=2, groups=8, quant=quant, mid_attention=mid_attention))
    twin = diffusers_twin(ours)
    mean, logvar = ours.encode(picture())
    expected = twin.encode(picture()).latent_dist
    assert relative_error(mean, expected.mean) < 1e-5
    assert relative_error(logvar, expected.logvar) < 1e-5
    assert relative_error(ours.decode(mean), twin.decode(mean).sample) < 1e-5


def test_the_logvar_is_clamped() -> None:
    ours = network()
    assert isinstance(ours.quant_conv, torch.nn.Conv2d)
    ours.quant_conv.weight.mul_(1e4)
    _, logvar = ours.encode(picture())
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
    mean, logvar = ours.encode(picture(height=4 * spec.factor, width=2 * spec.factor))
    assert spec.factor == 2 * stem
    assert mean.shape == logvar.shape == (2, 4, 4, 2)
    assert ours.decode(mean).shape == (2, 3, 4 * spec.factor, 2 * spec.factor)


def test_the_stem_folds_squares_of_pixels_into_channels() -> None:
    def folded(pixels: Tensor) -> Tensor:
        return pixels.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)

    ours = network(KLSpec(widths=(8, 16), layers=1, groups=4, stem=2, quant=False))
    mean, _ = ours.encode(picture())
    assert torch.equal(mean, ours.encoder(folded(picture()))[:, :4])
    assert torch.equal(folded(ours.decode(mean)), ours.decoder(mean))


@pytest.mark.parametrize("spec", [TINY, KLSpec(widths=(8, 16), layers=1, groups=4, stem=2)])
def test_channels_last_changes_nothing(spec: KLSpec) -> None:
    ours = network(spec)
    mean, _ = ours.encode(picture())
    pixels = ours.decode(mean)
    ours.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # torch's stubs forget this overload
    last, _ = ours.encode(picture().to(memory_format=torch.channels_last))
    assert relative_error(last, mean) < 1e-5
    decoded = ours.decode(mean.to(memory_format=torch.channels_last))
    assert relative_error(decoded, pixels) < 1e-5
    assert ours.decoder.conv_in(mean).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close(dtype: torch.dtype) -> None:
    ours = network()
    expected = ours(picture())
    seen = ours.to(dtype)(picture().to(dtype))
    assert seen.dtype == dtype
    assert relative_error(seen.float(), expected) < 0.05


def test_autocast_stays_close() -> None:
    ours = network()
    expected = ours(picture())
    with torch.autocast("cpu", torch.bfloat16):
        seen = ours(picture())
    assert relative_error(seen.float(), expected) < 0.05


@pytest.mark.parametrize("spec", [TINY, KLSpec(widths=(8, 16), layers=1, groups=4, stem=2, mid_attention=False)])
def test_every_parameter_learns(spec: KLSpec) -> None:
    torch.manual_seed(0)
    ours = KL(spec)
    mean, logvar = ours.encode(picture())
    (ours.decode(mean) - picture()).abs().mean().add(logvar.square().mean()).backward()
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
    ],
)
def test_a_spec_that_cannot_be_built_is_refused(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        KLSpec(**numbers)
