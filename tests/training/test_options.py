"""Options, the learning rate, the average and the seeds: the parts that both trainings share."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fictile.engine import Runtime
from fictile.errors import RequestError
from fictile.training import DenoiserTraining, VAETraining, objective_of, options
from fictile.training.ema import EMA
from fictile.training.optimiser import Optimiser
from fictile.training.randomness import generator

HERE = Path("here")


def test_the_defaults_are_allowed() -> None:
    assert VAETraining(data=HERE, output=HERE).spec.factor == 8
    assert DenoiserTraining(data=HERE, output=HERE, vae=HERE).spec.multiple == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps is 0; it must be at least 1."),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0."),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it must be above 0."),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; it must be at least 0."),
        ({"ema": 1.5}, "ema is 1.5; it must lie between 0 and 1."),
        ({"kl": -1.0}, "kl is -1.0; it must be at least 0."),
        ({"gan_start": 2.0}, "gan_start is 2.0; it must lie between 0 and 1."),
        ({"gan_width": 6}, "gan_width is 6; it must be a multiple of 4, and above 0."),
        ({"size": 100}, "size is 100; it must be a multiple of 8 for this network."),
        ({"size": 16, "gan": 0.1}, "size is 16; it must be at least 24 with a discriminator."),
    ],
)
def test_a_wrong_option_is_one_sentence(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as error:
        VAETraining(data=HERE, output=HERE, **wrong)
    assert str(error.value) == message


@pytest.mark.parametrize("wrong", [{"caption_dropout": 1.1}, {"shift": 0.0}, {"min_snr": 0.0}, {"sample_steps": 0}])
def test_a_wrong_option_of_a_denoiser_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="; it must "):
        DenoiserTraining(data=HERE, output=HERE, vae=HERE, **wrong)


def test_objectives_have_names() -> None:
    assert objective_of("v") == "v"
    with pytest.raises(RequestError, match="no objective 'x'; choose one of flow, v, eps"):
        objective_of("x")


def test_training_never_runs_in_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    def old_gpu(device: str, precision: str) -> Runtime:
        dtype = {"auto": torch.float16, "fp16": torch.float16, "float32": torch.float32}[precision]
        return Runtime(device=torch.device("cpu"), dtype=dtype, decode_dtype=torch.float32, threads=1)

    monkeypatch.setattr(options, "choose_runtime", old_gpu)
    assert VAETraining(data=HERE, output=HERE).runtime().dtype == torch.float32
    with pytest.raises(RequestError, match="use bf16 or float32"):
        VAETraining(data=HERE, output=HERE, precision="fp16").runtime()


def test_the_learning_rate_rises_holds_and_falls() -> None:
    training = VAETraining(data=HERE, output=HERE, steps=100, learning_rate=2.0, warmup=10, cooldown=0.2)
    optimiser = Optimiser([nn.Linear(1, 1)], training)
    rates = [optimiser.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert set(rates[10:80]) == {2.0}
    assert rates[80:] == pytest.approx([0.1 * (100 - step) for step in range(80, 100)])


def test_the_gradient_is_clipped_and_its_norm_reported() -> None:
    training = VAETraining(data=HERE, output=HERE, warmup=0, learning_rate=1.0, cooldown=0.0, clip=0.5)
    network = nn.Linear(2, 1, bias=False)
    norm = Optimiser([network], training).update((network.weight * torch.tensor([[30.0, 40.0]])).sum(), 0)
    assert norm == pytest.approx(50)
    assert network.weight.grad is not None
    assert network.weight.grad.norm().item() == pytest.approx(0.5)


def test_the_average_follows_its_formula() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average, expected = EMA(network, 0.25), 0.0
    for update in range(1, 8):
        nn.init.constant_(network.weight, update)
        average.update(network)
        decay = min(0.25, update / (10 + update))
        expected = decay * expected + (1 - decay) * update
        assert average.network.weight.item() == pytest.approx(expected)
    assert not average.network.weight.requires_grad


def test_seeds_depend_on_every_part_of_their_key() -> None:
    keys = [(0, "vae", 1), (0, "vae", 2), (0, "denoiser", 1), (1, "vae", 1)]
    draws = {torch.rand((), generator=generator(*key)).item() for key in (*keys, *keys)}
    assert len(draws) == len(keys)
