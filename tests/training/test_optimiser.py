"""Muon: which parameters it moves, and by how much."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fictile.errors import RequestError
from fictile.training import VAETraining, optimiser_of
from fictile.training.optimiser import Optimiser, as_matrix

RATE = 0.01


def moved(network: nn.Sequential) -> dict[str, Tensor]:
    """What the first step of Muon adds to each parameter."""
    here = Path("here")
    options = VAETraining(
        data=here, output=here, optimiser="muon", learning_rate=RATE, warmup=0, cooldown=0.0, weight_decay=0.0
    )
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 8, 5, 5, generator=generator)
    made = network(x.contiguous(memory_format=torch.channels_last))
    Optimiser([network], options).update((made - torch.randn(made.shape, generator=generator)).square().sum(), 0)
    return {name: value.detach() - before[name] for name, value in network.named_parameters()}


def make() -> nn.Sequential:
    """A convolution, a norm and a linear layer, the same ones every time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 6, 3), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(54, 12))


def test_muon_moves_weights_as_far_in_every_direction() -> None:
    """All singular values of a step are near 0.2 sqrt(max(rows, columns)) rates, as 2502.16982 scales them."""
    steps = moved(make())
    for name in ("0.weight", "3.weight"):
        matrix = as_matrix(steps[name])
        values = torch.linalg.svdvals(matrix) / (RATE * 0.2 * max(matrix.shape) ** 0.5)
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_adamw_moves_all_that_is_no_weight_of_a_layer() -> None:
    """Its first step is as long as the rate, whatever the gradient."""
    steps = moved(make())
    for name in ("0.bias", "1.weight", "1.bias", "3.bias"):
        torch.testing.assert_close(steps[name].abs(), torch.full_like(steps[name], RATE), rtol=1e-3, atol=0)


def test_an_embedding_is_no_weight_of_a_layer() -> None:
    here = Path("here")
    options = VAETraining(data=here, output=here, optimiser="muon")
    network = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4))
    assert Optimiser([network], options).weights == [network[1].weight]


def test_the_layout_of_a_weight_makes_no_difference() -> None:
    last = make().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] # torch lacks this overload
    plain, last = moved(make()), moved(last)
    torch.testing.assert_close(plain, last, rtol=0.05, atol=RATE / 100)  # both were rounded to bf16 on the way


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_matrix_is_a_view_of_its_weight(layout: torch.memory_format) -> None:
    weight = torch.zeros(2, 3, 3, 3).contiguous(memory_format=layout)
    as_matrix(weight).fill_(1)
    assert weight.min() == 1


def test_an_old_torch_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(RequestError, match=r"torch 2\S+ has no Muon; install 2.9 or later, or take adamw"):
        VAETraining(data=Path("here"), output=Path("here"), optimiser="muon")


def test_optimisers_have_names() -> None:
    assert optimiser_of("muon") == "muon"
    with pytest.raises(RequestError, match="no optimiser 'x'; choose one of adamw, muon"):
        optimiser_of("x")
