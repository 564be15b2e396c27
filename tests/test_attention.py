"""Attention is the formula, in every precision, and where a gradient is to come as well."""

import pytest
import torch
from torch import Tensor

from fictile.attention import attend

BF16 = 2**-8  # half of the distance between 1 and the next number


def formula(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        scores = scores + torch.full(scores.shape[-2:], -torch.inf, dtype=scores.dtype).triu(1)
    return scores.softmax(-1) @ v


def given(dtype: torch.dtype, tokens: int) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, count, 16).to(dtype).requires_grad_() for count in (9, tokens, tokens)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_it_and_its_gradients_are_those_of_the_formula(dtype: torch.dtype, causal: bool, autocast: bool) -> None:
    tensors, exact = (
        given(dtype, 9 if causal else 5),
        [one.detach().double() for one in given(dtype, 9 if causal else 5)],
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        answer = attend(*tensors, causal=causal)
    assert answer.dtype == (torch.bfloat16 if autocast else dtype)
    for one in exact:
        one.requires_grad_()
    expected = formula(*exact, causal=causal)
    near = 1e-5 if answer.dtype == torch.float32 else 4 * BF16
    assert (answer.double() - expected).abs().max() <= near
    weight = torch.randn(answer.shape).to(answer.dtype)
    (answer * weight).sum().backward()
    (expected * weight.double()).sum().backward()
    for one, other in zip(tensors, exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert (one.grad.double() - other.grad).abs().max() <= 3 * near


def test_a_gradient_in_bf16_is_as_near_as_float32_makes_it() -> None:
    """Not only faster: what is multiplied in float32 is rounded once, when it is given back."""
    tensors, exact = (
        given(torch.bfloat16, 9),
        [one.detach().double().requires_grad_() for one in given(torch.bfloat16, 9)],
    )
    attend(*tensors).sum().backward()
    formula(*exact, causal=False).sum().backward()
    for one, other in zip(tensors, exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert (one.grad.double() - other.grad).abs().max() <= BF16 * other.grad.abs().max() + 1e-6


def test_without_a_gradient_bf16_stays_bf16() -> None:
    with torch.no_grad():
        q, k, v = given(torch.bfloat16, 9)
        expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        assert torch.equal(attend(q, k, v), expected)
