"""What holds for every sampler: it stays finite, it is pure, a batch equals its samples, the callback hears it all."""

import pytest
import torch
from torch import Tensor

from fictile.sampling import SAMPLERS, SCHEDULES, StepNoise, initial_noise, make_steps
from fictile.schedule import DDPM, PREDICTIONS, Cosine, Flow, Level, Prediction, Schedule, to_x0

from .toy import denoise, seeded_noise, start

KINDS: dict[str, Schedule] = {
    "ddpm": DDPM(),
    "zero terminal SNR": DDPM(zero_terminal_snr=True),
    "cosine": Cosine(),
    "flow": Flow(),
    "shifted flow": Flow(shift=3.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_finite_from_alpha_0_to_sigma_0(name: str, kind: str) -> None:
    for spacing in SCHEDULES:
        for count in (1, 2, 6):
            steps = make_steps(KINDS[kind], spacing, count)
            end = SAMPLERS[name](denoise, start(), steps, noise=seeded_noise())
            assert end.isfinite().all()
            assert end.abs().max() < 10
            assert end.dtype == torch.float32


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_finite_for_every_prediction(name: str, prediction: Prediction) -> None:
    def predict(x: Tensor, level: Level) -> Tensor:
        return to_x0(prediction, x.sin(), x, level.alpha, level.sigma)

    for kind in ("zero terminal SNR", "flow"):
        end = SAMPLERS[name](predict, start(), make_steps(KINDS[kind], "trailing", 6), noise=seeded_noise())
        assert end.isfinite().all()


@pytest.mark.parametrize("kind", ["ddpm", "flow"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_batch_of_4_equals_4_runs_of_1(name: str, kind: str) -> None:
    shape, steps = (4, 6, 6), make_steps(KINDS[kind], "normal", 8)
    x = initial_noise(shape, 7, 4)
    together = SAMPLERS[name](denoise, x, steps, noise=StepNoise(shape, [7, 8, 9, 10]))
    for i in range(4):
        alone = SAMPLERS[name](denoise, initial_noise(shape, 7 + i, 1), steps, noise=StepNoise(shape, [7 + i]))
        torch.testing.assert_close(together[i], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_input_is_left_as_it_was(name: str) -> None:
    x = start()
    SAMPLERS[name](denoise, x, make_steps(DDPM(), "normal", 4), noise=seeded_noise())
    assert torch.equal(x, start())


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_callback_hears_each_step_once(name: str) -> None:
    heard: list[tuple[int, Level]] = []

    def listen(index: int, level: Level, x: Tensor, x0: Tensor) -> None:
        assert torch.equal(denoise(x, level), x0)
        heard.append((index, level))

    steps = make_steps(DDPM(), "normal", 5)
    SAMPLERS[name](denoise, start(), steps, noise=seeded_noise(), callback=listen)
    assert heard == list(enumerate(steps[:-1]))


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_to_clean_is_the_denoiser_itself(name: str) -> None:
    steps = make_steps(Flow(), "normal", 1)
    end = SAMPLERS[name](denoise, start(), steps, noise=seeded_noise())
    torch.testing.assert_close(end, denoise(start(), steps[0]))
