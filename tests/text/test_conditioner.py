"""Each family reads what its denoiser was trained on: parity with transformers, and with diffusers' own pipelines."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from jaxtyping import Float
from tests.text.twin import random_text, text_twin
from torch import Tensor

from fictile.errors import RequestError
from fictile.text import (
    CLIP_L,
    OPENCLIP_G,
    OPENCLIP_H,
    TEXT_FAMILIES,
    CLIPConditioner,
    TextConditioner,
    TextFeatures,
    TextSpec,
    TextTransformer,
    clip_tokenizer,
)

# The published transformers with fewer and narrower layers; vocabulary, context, activation and projection are theirs.
SMALL_L = replace(CLIP_L, width=24, layers=4, heads=4)
SMALL_H = replace(OPENCLIP_H, width=40, layers=5, heads=4)
SMALL_G = replace(OPENCLIP_G, width=32, layers=5, heads=4, projection=48)
SPECS = {"sd1": [SMALL_L], "sd2": [SMALL_H], "sdxl": [SMALL_L, SMALL_G], "sdxl-refiner": [SMALL_G]}
SIZE = (768, 1024)
PHRASES = [f"the {color} fox and the {color} bird sing well," for color in ("red", "blue", "green", "grey") * 4]
LONG = " ".join(PHRASES)  # ten tokens each


def conditioner(family: str) -> CLIPConditioner:
    networks = [random_text(spec, seed) for seed, spec in enumerate(SPECS[family])]
    return CLIPConditioner(TEXT_FAMILIES[family], tuple(networks))


def assert_close(ours: Tensor | None, expected: Tensor) -> None:
    assert ours is not None
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().max() / expected.abs().max()) <= 1e-5


def row(text: str, pad: int) -> Tensor:
    ids = [49406, *clip_tokenizer().tokens(text), 49407]
    return torch.tensor([ids + [pad] * (77 - len(ids))])


def normed(model: Any, hidden: Tensor) -> Float[Tensor, "b n d"]:
    return (model.text_model if hasattr(model, "text_model") else model).final_layer_norm(hidden)


# family -> of each transformer: its padding, hidden_states[index from the end], and whether that is normed
READ = {
    "sd1": [(49407, -1, True)],
    "sd2": [(0, -1, True)],  # with at most 23 layers, as in folders of diffusers
    "sdxl": [(49407, -2, False), (0, -2, False)],
    "sdxl-refiner": [(0, -2, False)],
}


@torch.no_grad()
@pytest.mark.parametrize("family", READ)
@pytest.mark.parametrize("deeper", [0, 1, 2])
def test_the_layers_that_a_family_reads_equal_transformers(family: str, deeper: int) -> None:
    text = conditioner(family)
    clip_skip = 1 if not deeper else text.family.skip + deeper
    wanted, unwanted = text.condition("a fox wearing a crown", "rain!", size=SIZE, clip_skip=clip_skip)
    for features, prompt in ((wanted, "a fox wearing a crown"), (unwanted, "rain!")):
        expected: list[Tensor] = []
        pooled = torch.empty(0)
        for network, (pad, index, norm) in zip(text.networks, READ[family], strict=True):
            model = text_twin(network)
            output = model(row(prompt, pad), output_hidden_states=True)
            hidden = output.hidden_states[index - deeper]
            expected.append(normed(model, hidden) if norm else hidden)
            pooled = output[0] if network.spec.projection else pooled
        assert_close(features.context, torch.cat(expected, dim=-1))
        if text.family.pooled:
            assert_close(features.pooled, pooled)
        else:
            assert features.pooled is features.sizes is None


@pytest.mark.parametrize("skip", [1, 2])
def test_sd2_reads_the_same_layer_of_23_and_of_24(skip: int) -> None:
    whole = random_text(replace(SMALL_H, layers=24))
    cut = TextTransformer(replace(SMALL_H, layers=23)).eval().requires_grad_(False)
    cut.load_state_dict({name: weight for name, weight in whole.state_dict().items() if "layers.23." not in name})
    contexts = [
        CLIPConditioner(TEXT_FAMILIES["sd2"], (network,)).condition("a fox", "", size=SIZE, clip_skip=skip)[0].context
        for network in (whole, cut)
    ]
    assert torch.equal(*contexts)


def test_sizes_are_the_pictures_own() -> None:
    wanted, unwanted = conditioner("sdxl").condition("a fox", "rain", size=(768, 1024))
    for features in (wanted, unwanted):
        assert features.sizes is not None
        assert features.sizes.tolist() == [[768, 1024, 0, 0, 768, 1024]]
    wanted, unwanted = conditioner("sdxl-refiner").condition("a fox", "rain", size=(768, 1024))
    assert wanted.sizes is not None
    assert unwanted.sizes is not None
    assert (wanted.sizes.tolist(), unwanted.sizes.tolist()) == ([[768, 1024, 0, 0, 6]], [[768, 1024, 0, 0, 2.5]])


@pytest.mark.parametrize("empty", ["", " \n", "()"])
def test_sdxl_reads_zeros_for_an_empty_negative_prompt_and_the_refiner_does_not(empty: str) -> None:
    wanted, unwanted = conditioner("sdxl").condition("a fox", empty, size=SIZE)
    assert unwanted.pooled is not None
    assert not unwanted.context.any()
    assert not unwanted.pooled.any()
    assert wanted.context.any()
    assert conditioner("sdxl-refiner").condition("a fox", empty, size=SIZE)[1].context.any()


@pytest.mark.parametrize("family", READ)
def test_a_long_prompt_is_the_features_of_its_chunks_side_by_side(family: str) -> None:
    text = conditioner(family)
    read = text.read(LONG)
    assert len(read.chunks) == 3
    assert read.tokens == 160
    wanted, unwanted = text.condition(LONG, "rain", size=SIZE)
    assert wanted.context.shape == unwanted.context.shape == (1, 3 * 77, text.context_width)
    for index, (start, end) in enumerate(pairwise([0, 7, 14, 16])):  # 75 tokens, less what follows the last comma
        alone = text.condition(" ".join(PHRASES[start:end]), "", size=SIZE)[0]
        torch.testing.assert_close(wanted.context[:, 77 * index : 77 * (index + 1)], alone.context)
        if index == 0 and text.family.pooled:
            torch.testing.assert_close(wanted.pooled, alone.pooled)
    other, empty = text.condition("rain", "", size=SIZE)
    torch.testing.assert_close(unwanted.context[:, :77], other.context)
    if not text.family.zero_empty:
        torch.testing.assert_close(unwanted.context[:, 77:], empty.context.repeat(1, 2, 1))


def test_break_begins_a_chunk() -> None:
    text = conditioner("sd1")
    wanted = text.condition("a fox BREAK a crown", "", size=SIZE)[0].context
    parts = [text.condition(part, "", size=SIZE)[0].context for part in ("a fox", "a crown")]
    torch.testing.assert_close(wanted, torch.cat(parts, dim=1))
    assert [len(chunk) for chunk in text.read("a fox BREAK a crown").chunks] == [2, 2]
    assert len(text.read("a fox BREAK a crown", weighting="none").chunks) == 1


def test_weights_act_on_each_chunk_and_each_transformer_by_itself() -> None:
    """As in the web UI: features times weights, then as much again as restores the mean of the chunk."""
    text = conditioner("sdxl")
    plain = text.condition("a red fox BREAK a crown", "", size=SIZE)[0]
    weighted = text.condition("a (red:1.4) fox BREAK a [crown]", "", size=SIZE)[0]
    assert plain.pooled is not None
    torch.testing.assert_close(weighted.pooled, plain.pooled)
    weights = torch.ones(1, 154, 1)
    weights[:, 2], weights[:, 77 + 2] = 1.4, 1 / 1.1
    width = text.networks[0].spec.width
    for chunk in (slice(0, 77), slice(77, 154)):
        for features in (slice(0, width), slice(width, None)):
            before = plain.context[:, chunk, features]
            after = before * weights[:, chunk]
            expected = after * (before.mean() / after.mean())
            # The means are near 0, and how they are rounded depends on the processor.
            torch.testing.assert_close(weighted.context[:, chunk, features], expected, rtol=1e-5, atol=1e-5)
    raw = text.condition("a (red:1.4) fox BREAK a [crown]", "", size=SIZE, weighting="no_norm")[0]
    torch.testing.assert_close(raw.context, plain.context * weights)


def test_what_is_read_can_be_seen() -> None:
    read = conditioner("sd1").read("a (red:1.4) [fox]")
    assert (read.tokens, read.room, len(read.chunks)) == (3, 75, 1)
    assert [(segment.text, round(segment.weight, 3)) for segment in read.weighted] == [("red", 1.4), ("fox", 0.909)]
    assert conditioner("sd1").read("").tokens == 0


@pytest.mark.parametrize(("family", "last"), [("sd1", 4), ("sd2", 6), ("sdxl", 4), ("sdxl-refiner", 5)])
def test_a_clip_skip_out_of_range_is_refused(family: str, last: int) -> None:
    text = conditioner(family)
    text.read("a fox", clip_skip=last)
    for skip in (0, -1, last + 1):
        with pytest.raises(RequestError, match=rf"Clip skip {skip} is out of range: give 1 .* to {last} "):
            text.read("a fox", clip_skip=skip)


@pytest.mark.parametrize("family", ["sdxl", "ssd-1b", "vega", "sdxl-refiner", "sd2"])
def test_up_to_the_familys_own_layer_clip_skip_changes_nothing(family: str) -> None:
    text = CLIPConditioner(TEXT_FAMILIES[family], conditioner(family if family in SPECS else "sdxl").networks)
    first, second = (text.condition("a fox", "rain", size=SIZE, clip_skip=skip)[0].context for skip in (1, 2))
    assert torch.equal(first, second)


def test_widths_are_those_that_the_denoiser_must_have() -> None:
    """1280 pooled features and six sizes of SDXL; five of the refiner, whose text is the pooled vector's own width."""
    with torch.device("meta"):
        networks = {spec: TextTransformer(spec) for spec in (CLIP_L, OPENCLIP_H, OPENCLIP_G)}
    made: dict[str, TextConditioner] = {
        "sd1": CLIPConditioner(TEXT_FAMILIES["sd1"], (networks[CLIP_L],)),
        "sd2": CLIPConditioner(TEXT_FAMILIES["sd2"], (networks[OPENCLIP_H],)),
        "sdxl": CLIPConditioner(TEXT_FAMILIES["sdxl"], (networks[CLIP_L], networks[OPENCLIP_G])),
        "sdxl-refiner": CLIPConditioner(TEXT_FAMILIES["sdxl-refiner"], (networks[OPENCLIP_G],)),
    }
    widths = {name: (text.context_width, text.added) for name, text in made.items()}
    assert widths == {
        "sd1": (768, None),
        "sd2": (1024, None),
        "sdxl": (2048, (1280, 6)),
        "sdxl-refiner": (1280, (1280, 5)),
    }
    assert 1280 + 6 * 256 == 2816
    assert 1280 + 5 * 256 == 2560


def test_transformers_that_do_not_fit_are_refused() -> None:
    family = TEXT_FAMILIES["sdxl"]
    clip, other = random_text(SMALL_L), random_text(replace(SMALL_L, context=50))
    with pytest.raises(RequestError, match="has 2 text transformers, but 1 were given"):
        CLIPConditioner(family, (clip,))
    with pytest.raises(RequestError, match="reads 77 tokens at once and the other 50"):
        CLIPConditioner(family, (clip, other))
    foreign = random_text(TextSpec(vocabulary=300, width=8, heads=2, layers=1, begin=0, end=1, pad=2))
    with pytest.raises(RequestError, match="knows 300 tokens from 0"):
        CLIPConditioner(TEXT_FAMILIES["sd1"], (foreign,))


def test_a_copy_elsewhere_reads_the_same() -> None:
    text = conditioner("sdxl")
    copies = text.placed(lambda network: network.to(torch.float64))
    features: TextFeatures = copies.condition("a fox", "rain", size=SIZE)[0]
    assert features.context.dtype == torch.float64
