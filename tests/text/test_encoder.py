"""A tokenizer and a transformer, put together."""

import pytest
import torch

from fictile.errors import RequestError
from fictile.text import TextEncoder, TextSpec, TextTransformer, Tokenizer

TOKENIZER = Tokenizer.train(["a red fox", "a fox wearing a crown"] * 3, vocabulary=300, context=16)


def transformer(context: int = 16, projection: int | None = None) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(
        TextSpec(
            vocabulary=TOKENIZER.vocabulary,
            width=24,
            layers=2,
            heads=2,
            context=context,
            projection=projection,
            begin=TOKENIZER.begin,
            end=TOKENIZER.end,
            pad=TOKENIZER.pad,
        )
    )


def test_texts_become_a_context_and_a_pooled_vector() -> None:
    encoder = TextEncoder(TOKENIZER, transformer(projection=8))
    context, pooled = encoder.encode(["a fox", "", "a 🦊"])
    assert context.shape == (3, 16, 24)
    assert pooled.shape == (3, 8)
    alone, alone_pooled = encoder.encode(["a fox"])
    torch.testing.assert_close(context[:1], alone)
    torch.testing.assert_close(pooled[:1], alone_pooled)
    assert not torch.allclose(context[0], context[2])


def test_the_pooled_vector_without_projection_is_the_one_at_the_end_token() -> None:
    context, pooled = TextEncoder(TOKENIZER, transformer()).encode(["a fox"])
    assert torch.equal(pooled[0], context[0, 1 + TOKENIZER.count("a fox")])


def test_too_long_a_prompt_is_refused() -> None:
    with pytest.raises(RequestError, match="The prompt has 20 tokens, this model takes 14"):
        TextEncoder(TOKENIZER, transformer()).encode(["a fox " * 10])


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RequestError, match="The tokenizer's context is 16 and the text transformer's is 20"):
        TextEncoder(TOKENIZER, transformer(context=20))
