from typing import Any

import pytest
import torch
from torch import Tensor

from fictile.denoiser import Conditioning, Denoiser, Guidance, guide
from fictile.errors import RequestError
from fictile.schedule import Level

LEVEL = Level(alpha=0.8, sigma=0.6, time=400.0)  # 0.6 / 1.4 = 0.43 of the way to noise

Texts = tuple[Conditioning, Conditioning]


def batches(denoiser: Denoiser) -> list[int]:
    """Fills itself with the batch size of each call of the network."""
    sizes: list[int] = []

    def note(_network: Any, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))

    denoiser.network.register_forward_pre_hook(note)
    return sizes


def test_both_branches_in_one_batch_equal_two_calls(denoiser: Denoiser, texts: Texts, noise: Tensor) -> None:
    positive, negative = (denoiser(noise, LEVEL, text) for text in texts)
    sizes = batches(denoiser)
    guided = guide(denoiser, *texts, Guidance(scale=3.0))(noise, LEVEL)
    assert sizes == [4]
    torch.testing.assert_close(guided, negative + 3.0 * (positive - negative), rtol=0, atol=1e-5)


def test_the_text_is_read_once_for_all_steps_inside_the_interval_and_out(
    denoiser: Denoiser, texts: Texts, noise: Tensor
) -> None:
    readings: list[Any] = []

    def note(part: Any, *_: Any) -> None:
        readings.append(part)

    for name, part in denoiser.network.named_modules():
        if name.endswith(("attn2.to_k", "attn2.to_v", "time_emb_proj", "time_embedding")):
            part.register_forward_hook(note)
    levels = [Level(alpha=alpha, sigma=1 - alpha, time=1000 * (1 - alpha)) for alpha in (0.2, 0.5, 0.8)]
    denoise = guide(denoiser, *texts, Guidance(interval=(0.4, 0.6)), levels)
    for level in levels:
        denoise(noise, level)
    assert len(readings) == len(set(readings)) > 0


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_scale_1_is_the_positive_alone(denoiser: Denoiser, texts: Texts, noise: Tensor, rescale: float) -> None:
    expected = denoiser(noise, LEVEL, texts[0])
    sizes = batches(denoiser)
    assert guide(denoiser, *texts, Guidance(scale=1.0, rescale=rescale))(noise, LEVEL).equal(expected)
    assert sizes == [2]


def test_guiding_the_clean_latent_equals_guiding_eps(denoiser: Denoiser, texts: Texts, noise: Tensor) -> None:
    positive, negative = ((noise - LEVEL.alpha * denoiser(noise, LEVEL, text)) / LEVEL.sigma for text in texts)
    eps = negative + 3.0 * (positive - negative)
    guided = guide(denoiser, *texts, Guidance(scale=3.0))(noise, LEVEL)
    torch.testing.assert_close(guided, (noise - LEVEL.sigma * eps) / LEVEL.alpha, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("interval", "size"),
    [((0.0, 1.0), 4), ((0.4, 0.5), 4), ((0.0, 0.4), 2), ((0.5, 1.0), 2)],
    ids=["everywhere", "inside", "too noisy", "too clean"],
)
def test_the_interval_switches_the_negative_off(
    denoiser: Denoiser, texts: Texts, noise: Tensor, interval: tuple[float, float], size: int
) -> None:
    sizes = batches(denoiser)
    guide(denoiser, *texts, Guidance(interval=interval))(noise, LEVEL)
    assert sizes == [size]


def test_the_whole_interval_reaches_pure_noise() -> None:
    assert Guidance().acts_at(Level(alpha=0.0, sigma=1.0, time=999.0))


def test_rescale_restores_the_deviation_of_each_latent(denoiser: Denoiser, texts: Texts, noise: Tensor) -> None:
    def deviation(rescale: float, scale: float = 8.0) -> Tensor:
        return guide(denoiser, *texts, Guidance(scale=scale, rescale=rescale))(noise, LEVEL).std(dim=(1, 2, 3))

    wanted, plain = deviation(0.0, scale=1.0), deviation(0.0)
    torch.testing.assert_close(deviation(1.0), wanted)
    torch.testing.assert_close(deviation(0.7), 0.7 * wanted + 0.3 * plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rescale": 1.5}, "rescale is 1.5; choose a number from 0 to 1"),
        ({"interval": (0.8, 0.2)}, "interval is 0.8 to 0.2; choose two rising numbers"),
        ({"interval": (0.0, 15.0)}, "interval is 0.0 to 15.0"),
    ],
)
def test_refuses_what_lies_outside_the_ranges(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Guidance(**options)
