"""Where a long prompt is cut, and what goes into a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fictile.text.chunks import Chunk, Prompt, chunks_of, split_chunk, token_rows, weight_rows
from fictile.text.prompt import Segment
from fictile.text.spec import TextSpec

COMMA, WORD = 0, 1


def marked(length: int, *commas: int) -> Chunk:
    """A chunk of words, with commas at these places."""
    return Chunk(tuple(COMMA if place in commas else WORD for place in range(length)), (1.0,) * length)


def lengths(chunk: Chunk) -> list[int]:
    return [len(piece) for piece in split_chunk(chunk, 75, COMMA)]


@pytest.mark.parametrize(
    ("chunk", "cut"),
    [
        (marked(0), [0]),
        (marked(75), [75]),
        (marked(76), [75, 1]),
        (marked(230), [75, 75, 75, 5]),
        (marked(76, 74), [75, 1]),
        (marked(76, 70), [71, 5]),
        (marked(76, 60, 70), [71, 5]),
        (marked(76, 55), [56, 20]),  # the comma is the 20th from the end
        (marked(76, 54), [75, 1]),  # and here the 21st
        (marked(76, 60, 75), [75, 1]),  # the text goes on with a comma: there is nothing to keep together
        (marked(75, 60), [75]),
        (marked(160, 70, 100, 140), [71, 70, 19]),
    ],
)
def test_a_long_prompt_is_cut_at_a_comma_near_the_end(chunk: Chunk, cut: list[int]) -> None:
    assert lengths(chunk) == cut


@given(st.lists(st.sampled_from([COMMA, WORD, 2]), max_size=400))
def test_cutting_loses_nothing(ids: list[int]) -> None:
    weights = tuple(float(place) for place in range(len(ids)))
    pieces = split_chunk(Chunk(tuple(ids), weights), 75, COMMA)
    assert all(0 < len(piece) <= 75 for piece in pieces) or not ids
    assert tuple(token for piece in pieces for token in piece.ids) == tuple(ids)
    assert tuple(weight for piece in pieces for weight in piece.weights) == weights


def test_a_book_can_be_cut() -> None:
    assert sum(lengths(marked(200_000))) == 200_000


def tokens(text: str) -> list[int]:
    return [ord(letter) for letter in text if letter != " "]


def test_every_token_has_the_weight_of_its_segment() -> None:
    [chunk] = chunks_of([[Segment("ab "), Segment("c d", 1.5)]], tokens)
    assert chunk == Chunk((97, 98, 99, 100), (1.0, 1.0, 1.5, 1.5))


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        ([[]], [0]),
        ([[Segment("a")], [Segment("bc")]], [1, 2]),
        ([[Segment("a")], []], [1]),
        ([[], [Segment("a")]], [0, 1]),
        ([[Segment("a")], [], [Segment("b")]], [1, 0, 1]),
        ([[Segment("a")], [Segment(" ")]], [1]),
        ([[], []], [0]),
    ],
)
def test_each_part_is_a_chunk_but_an_empty_last_one(parts: list[list[Segment]], sizes: list[int]) -> None:
    assert [len(chunk) for chunk in chunks_of(parts, tokens)] == sizes


def test_a_row_is_begin_tokens_end_and_pad() -> None:
    spec = TextSpec(vocabulary=20, width=4, heads=1, layers=1, context=6, begin=18, end=19)
    chunks = [Chunk((1, 2), (1.5, 0.5)), Chunk(), Chunk((1, 2, 3, 4), (2.0,) * 4)]
    assert token_rows(chunks, spec, pad=0).tolist() == [
        [18, 1, 2, 19, 0, 0],
        [18, 19, 0, 0, 0, 0],
        [18, 1, 2, 3, 4, 19],
    ]
    assert weight_rows(chunks, spec) == [[1, 1.5, 0.5, 1, 1, 1], [1] * 6, [1, 2, 2, 2, 2, 1]]


def test_a_prompt_says_how_it_is_read() -> None:
    one, two = Chunk((1,), (1.0,)), Chunk((1, 2), (1.3, 1.0))
    short = Prompt(text="fox", chunks=(one,), room=75, weighted=())
    assert str(short) == "1 token in 1 chunk of 75"
    weighted = (Segment("red\n house", 1.3), Segment(" sky", 1 / 1.1))
    long = Prompt(text="...", chunks=(one, two), room=75, weighted=weighted)
    assert long.tokens == 3
    assert str(long) == "3 tokens in 2 chunks of 75; red house x 1.3, sky x 0.9091"
