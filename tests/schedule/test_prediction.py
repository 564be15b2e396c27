"""Conversions between what a network predicts and the clean latent."""

import pytest
import torch
from torch import Tensor

from fictile.errors import RequestError
from fictile.schedule import DDPM, PREDICTIONS, Flow, Prediction, Schedule, prediction_of, target, to_x0


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 5, 5, generator=made), torch.randn(4, 3, 5, 5, generator=made)


@pytest.mark.parametrize("schedule", [DDPM(), Flow()], ids=["ddpm", "flow"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_target_converts_back_to_x0(
    prediction: Prediction, schedule: Schedule, pair: tuple[Tensor, Tensor]
) -> None:
    x0, noise = pair
    alpha, sigma = schedule.at(torch.tensor([1.0, 300.0, 700.0, 900.0]))
    a, s = (value[:, None, None, None] for value in (alpha, sigma))
    x = a * x0 + s * noise
    back = to_x0(prediction, target(prediction, x0, noise, alpha, sigma), x, alpha, sigma)
    torch.testing.assert_close(back, x0, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_numbers_and_tensors_agree(prediction: Prediction, pair: tuple[Tensor, Tensor]) -> None:
    x, output = pair
    level = DDPM().level(600.0)
    each = torch.full((4,), level.alpha), torch.full((4,), level.sigma)
    torch.testing.assert_close(
        to_x0(prediction, output, x, level.alpha, level.sigma), to_x0(prediction, output, x, *each)
    )


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_finite_in_pure_noise(prediction: Prediction, pair: tuple[Tensor, Tensor]) -> None:
    x, output = pair
    x0 = to_x0(prediction, output, x, 0.0, 1.0)
    expected = {"eps": torch.zeros_like(x), "v": -output, "x0": output, "flow": x - output}
    torch.testing.assert_close(x0, expected[prediction])


def test_names() -> None:
    assert prediction_of("flow") == "flow"
    with pytest.raises(RequestError, match="'velocity' is unknown"):
        prediction_of("velocity")
