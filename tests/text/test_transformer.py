"""Parity with transformers' CLIP on random weights, parameter counts, and what a causal transformer promises."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from fictile.errors import RequestError
from fictile.text import CLIP_L, OPENCLIP_G, OPENCLIP_H, TextOutput, TextSpec, TextTransformer

TINY = TextSpec(vocabulary=60, width=32, layers=3, heads=4, context=12, begin=58, end=59, pad=59)


def their_config(spec: TextSpec, end: int | None = None) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=spec.vocabulary,
        hidden_size=spec.width,
        intermediate_size=4 * spec.width,
        projection_dim=spec.projection,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        max_position_embeddings=spec.context,
        hidden_act=spec.activation,
        bos_token_id=spec.begin,
        eos_token_id=spec.end if end is None else end,
        pad_token_id=spec.pad,
    )


def random_network(spec: TextSpec) -> TextTransformer:
    """Every parameter is random, the biases and norms too."""
    torch.manual_seed(0)
    network = TextTransformer(spec).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def prompts(spec: TextSpec, lengths: tuple[int, ...] = (0, 3, 10)) -> Int64[Tensor, "b n"]:
    """Rows of random tokens between begin and end, padded to the context."""
    torch.manual_seed(1)
    ids = torch.full((len(lengths), spec.context), spec.pad)
    for row, length in zip(ids, lengths, strict=True):
        row[0], row[length + 1] = spec.begin, spec.end
        row[1 : length + 1] = torch.randint(3, 50, (length,))
    return ids


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@torch.no_grad()
def assert_equal(ours: TextTransformer, theirs: Any, ids: Int64[Tensor, "b n"], theirs_pooled: str) -> None:
    # transformers 5 names a text model without projection without its prefix, transformers 4 and every file with it
    prefixed = any(name.startswith("text_model.") for name in theirs.state_dict())
    names = {name: name if prefixed else name.removeprefix("text_model.") for name in ours.state_dict()}
    theirs.load_state_dict({names[name]: weight for name, weight in ours.state_dict().items()}, strict=True)
    output, expected = ours(ids), theirs.eval()(ids, output_hidden_states=True)
    assert len(output.hidden_states) == len(expected.hidden_states) == ours.spec.layers + 1
    for state, expected_state in zip(output.hidden_states, expected.hidden_states, strict=True):
        assert relative_error(state, expected_state) <= 1e-5
    assert relative_error(output.last, expected.last_hidden_state) <= 1e-5
    assert relative_error(output.pooled, expected[theirs_pooled]) <= 1e-5


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("pad", [59, 0, 2])
def test_equals_transformers(activation: Any, pad: int) -> None:
    spec = replace(TINY, activation=activation, pad=pad)
    assert_equal(random_network(spec), CLIPTextModel(their_config(spec)), prompts(spec), "pooler_output")


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_equals_transformers_with_projection(activation: Any) -> None:
    spec = replace(TINY, activation=activation, projection=20)
    assert_equal(random_network(spec), CLIPTextModelWithProjection(their_config(spec)), prompts(spec), "text_embeds")


def test_pools_where_historic_files_pool() -> None:
    """Their config gives end as 2, which makes transformers pool at the largest id, as OpenAI's code does."""
    assert_equal(random_network(TINY), CLIPTextModel(their_config(TINY, end=2)), prompts(TINY), "pooler_output")


def test_pools_at_the_first_end_also_when_it_is_not_the_largest_id() -> None:
    spec = replace(TINY, begin=0, end=1, pad=2)
    assert_equal(random_network(spec), CLIPTextModel(their_config(spec)), prompts(spec), "pooler_output")


@pytest.mark.parametrize(
    ("spec", "count"), [(CLIP_L, 123_060_480), (OPENCLIP_H, 352_984_064), (OPENCLIP_G, 694_659_840)]
)
def test_full_size_parameters(spec: TextSpec, count: int) -> None:
    with torch.device("meta"):
        ours = TextTransformer(spec)
        theirs: Any = (CLIPTextModelWithProjection if spec.projection else CLIPTextModel)(their_config(spec))
    shapes = {name.removeprefix("text_model."): p.shape for name, p in ours.named_parameters()}
    assert shapes == {name.removeprefix("text_model."): p.shape for name, p in theirs.named_parameters()}
    assert sum(p.numel() for p in ours.parameters()) == count


def run(network: TextTransformer, ids: Int64[Tensor, "b n"]) -> TextOutput:
    with torch.no_grad():
        return network(ids)


def test_later_tokens_do_not_change_earlier_outputs() -> None:
    network, ids = random_network(TINY), prompts(TINY, lengths=(10,))
    changed = ids.clone()
    changed[0, 6] += 1
    before, after = run(network, ids), run(network, changed)
    for state, changed_state in zip(before.hidden_states, after.hidden_states, strict=True):
        torch.testing.assert_close(state[:, :6], changed_state[:, :6])
        assert not torch.equal(state[:, 6], changed_state[:, 6])
    assert not torch.allclose(before.last[:, 7:], after.last[:, 7:])


def test_padding_changes_nothing_before_it() -> None:
    network, ids = random_network(TINY), prompts(TINY, lengths=(3,))
    whole, cut = run(network, ids), run(network, ids[:, :5])
    torch.testing.assert_close(whole.last[:, :5], cut.last)
    torch.testing.assert_close(whole.pooled, cut.pooled)


def test_a_batch_equals_its_rows() -> None:
    network, ids = random_network(TINY), prompts(TINY)
    rows: Float[Tensor, "b n d"] = torch.cat([run(network, row[None]).last for row in ids])
    torch.testing.assert_close(run(network, ids).last, rows)


def test_starts_ready_for_training() -> None:
    """No layer drowns the one before it, and every parameter learns; a bias of the keys cancels out in the softmax."""
    torch.manual_seed(0)
    network = TextTransformer(replace(TINY, layers=12, projection=20))
    output = network(prompts(TINY))
    assert 0.1 < float(output.hidden_states[-1].detach().std()) < 2
    (output.last.square() * torch.randn_like(output.last)).sum().backward(retain_graph=True)
    (output.pooled * torch.randn_like(output.pooled)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert name.endswith("k_proj.bias") or parameter.grad.norm() > 1e-4, name


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(RequestError, match="width of 100 does not divide by 12 heads"):
        TextSpec(width=100)
