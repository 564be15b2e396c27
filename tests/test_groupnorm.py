"""Group norm is the formula whatever way it is computed, and leaves type and layout as they came."""

import pytest
import torch
from torch import Tensor

from fictile.groupnorm import GroupNorm

BF16 = 2**-8  # half of the distance between 1 and the next number
SHAPES = [(2, 64, 5, 7), (1, 64, 16, 16), (1, 64, 40, 40), (2, 640, 4, 4)]  # slow and quick ones for a CPU in bf16


def formula(norm: GroupNorm, x: Tensor) -> Tensor:
    groups = x.double().unflatten(1, (norm.num_groups, -1))
    variance, mean = torch.var_mean(groups, dim=(2, 3, 4), keepdim=True, correction=0)
    normal = ((groups - mean) / (variance + norm.eps).sqrt()).flatten(1, 2)
    return normal * norm.weight.detach().double()[:, None, None] + norm.bias.detach().double()[:, None, None]


def given(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[GroupNorm, Tensor]:
    torch.manual_seed(0)
    norm = GroupNorm(32, shape[1])
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = (3 + 2 * torch.randn(shape)).to(dtype).to(memory_format=torch.channels_last)
    return norm.to(dtype), x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_the_formula(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    norm, x = given(shape, dtype)
    answer, expected = norm(x), formula(norm, x)
    assert answer.dtype == dtype
    assert answer.is_contiguous(memory_format=torch.channels_last)
    near = 1e-5 if dtype == torch.float32 else BF16
    assert (answer.double() - expected).abs().max() <= near * expected.abs().max()


@pytest.mark.parametrize("shape", SHAPES)
def test_autocast_learns_the_gradients_of_float32(shape: tuple[int, ...]) -> None:
    norm, x = given(shape, torch.float32)
    weight, rounded = torch.randn(shape), x.bfloat16()
    gradients: list[list[Tensor]] = []
    for given_x in (rounded.float(), rounded):
        asked = given_x.requires_grad_()
        norm.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            answer = norm(asked)
        (answer.float() * weight).sum().backward()
        assert asked.grad is not None
        assert norm.weight.grad is not None
        assert norm.bias.grad is not None
        gradients.append([asked.grad.float(), norm.weight.grad.clone(), norm.bias.grad.clone()])
    for exact, found in zip(*gradients, strict=True):
        assert (found - exact).norm() <= 2 * BF16 * exact.norm()


def test_it_loads_what_torchs_own_has_saved() -> None:
    norm, other = GroupNorm(4, 8), torch.nn.GroupNorm(4, 8)
    norm.load_state_dict(other.state_dict())
    assert list(norm.state_dict()) == list(other.state_dict())


def test_a_compiled_program_of_it_takes_maps_of_any_size() -> None:
    norm, _ = given((1, 64, 4, 4), torch.bfloat16)
    free = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        example = torch.randn(2, 64, 12, 9).bfloat16()
        program = torch.export.export(norm, (example,), dynamic_shapes=({0: free, 2: free, 3: free},), strict=False)
        for size in ((3, 5), (50, 40)):
            x = torch.randn(3, 64, *size).bfloat16()
            assert (program.module()(x).double() - formula(norm, x)).abs().max() <= BF16 * formula(norm, x).abs().max()
