from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fictile.denoiser import Conditioning, Denoiser, UNet
from fictile.errors import RequestError
from fictile.latent import LatentSpace
from fictile.schedule import DDPM, Level, Prediction

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


def test_refuses_a_space_of_another_size(tiny: UNet) -> None:
    with pytest.raises(RequestError, match="predicts 4 channels and the latent space is sd3"):
        Denoiser(tiny, DDPM(), "v", LatentSpace(id="sd3", channels=16, factor=8))
