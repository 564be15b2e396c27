from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fictile.denoiser import Added, Conditioning, Denoiser, UNet, UNetSpec
from fictile.errors import RequestError
from fictile.latent import LatentSpace
from fictile.schedule import DDPM, Level, Prediction, to_x0

MIDDLE = Level(alpha=0.8, sigma=0.6, time=400.0)
NOISE = Level(alpha=0.0, sigma=1.0, time=999.0)

Texts = tuple[Conditioning, Conditioning]


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_turns_the_output_into_the_clean_latent(
    prediction: Prediction, of_prediction: Callable[[Prediction], Denoiser], texts: Texts, noise: Tensor
) -> None:
    denoiser = of_prediction(prediction)
    output = denoiser.network(noise, torch.full((2,), MIDDLE.time), texts[0].context)
    expected = {"eps": (noise - 0.6 * output) / 0.8, "v": 0.8 * noise - 0.6 * output, "x0": output}[prediction]
    torch.testing.assert_close(denoiser(noise, MIDDLE, texts[0]), expected)


def test_flow(of_prediction: Callable[[Prediction], Denoiser], texts: Texts, noise: Tensor) -> None:
    denoiser = of_prediction("flow")
    output = denoiser.network(noise, torch.full((2,), 300.0), texts[0].context)
    level = Level(alpha=0.7, sigma=0.3, time=300.0)
    torch.testing.assert_close(denoiser(noise, level, texts[0]), noise - 0.3 * output)


@pytest.mark.parametrize("prediction", ["eps", "v", "x0", "flow"])
def test_is_finite_in_pure_noise(
    prediction: Prediction, of_prediction: Callable[[Prediction], Denoiser], texts: Texts, noise: Tensor
) -> None:
    assert of_prediction(prediction)(noise, NOISE, texts[0]).isfinite().all()


def test_a_half_precision_network_answers_in_float32(denoiser: Denoiser, texts: Texts, noise: Tensor) -> None:
    exact = denoiser(noise, MIDDLE, texts[0])
    denoiser.network.bfloat16()
    answer = denoiser(noise, MIDDLE, texts[0])
    assert answer.dtype == torch.float32
    assert (answer - exact).norm() <= 0.05 * exact.norm()


def test_what_is_computed_once_is_what_the_network_would_compute(
    denoiser: Denoiser, texts: Texts, noise: Tensor
) -> None:
    levels = [Level(alpha=0.6, sigma=0.8, time=600.5), MIDDLE]
    told = denoiser.told(texts[0], levels)
    for level in (*levels, NOISE):  # one that was not known beforehand, too
        output = denoiser.network(noise, torch.full((2,), level.time), texts[0].context)
        expected = to_x0("v", output, noise, level.alpha, level.sigma)
        torch.testing.assert_close(told(noise, level), expected, rtol=1e-5, atol=1e-6)


def test_the_added_part_is_computed_once_too() -> None:
    spec = UNetSpec(
        widths=(8, 16),
        layers=1,
        depth=(0, 1),
        heads=(2, 2),
        context_width=6,
        groups=4,
        added_time_width=4,
        added_width=17,
    )
    network, x, context = (
        UNet(spec).eval().requires_grad_(requires_grad=False),
        torch.randn(2, 4, 8, 8),
        torch.randn(2, 5, 6),
    )
    added = Added(pooled=torch.randn(2, 5), sizes=torch.randn(2, 3))
    denoiser = Denoiser(network, DDPM(), "x0", LatentSpace(id="test", channels=4, factor=8))
    told = denoiser.told(Conditioning(context, added), [NOISE, MIDDLE])
    expected = network(x, torch.full((2,), MIDDLE.time), context, added)
    torch.testing.assert_close(told(x, MIDDLE), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(told(x[:1], MIDDLE, rows=1), expected[:1], rtol=1e-5, atol=1e-6)


def test_a_row_stands_for_as_many_latents_as_there_are(denoiser: Denoiser, texts: Texts) -> None:
    x = torch.randn(4, 4, 8, 8)
    wanted = denoiser(x[:2], MIDDLE, Conditioning(texts[0].context[:1].expand(2, -1, -1)))
    unwanted = denoiser(x[2:], MIDDLE, Conditioning(texts[0].context[1:].expand(2, -1, -1)))
    torch.testing.assert_close(denoiser(x, MIDDLE, texts[0]), torch.cat([wanted, unwanted]), rtol=1e-5, atol=1e-6)


def test_refuses_a_space_of_another_size(tiny: UNet) -> None:
    with pytest.raises(RequestError, match="predicts 4 channels and the latent space is sd3"):
        Denoiser(tiny, DDPM(), "v", LatentSpace(id="sd3", channels=16, factor=8))
