"""The syntax of prompts, by example and by law."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fictile.errors import RequestError
from fictile.text.prompt import Segment, parse_prompt

# As AUTOMATIC1111's web UI reads them: its wiki says what (a), ((a)), [a], (a:1.5), (a:0.25) and \(a\) are.
ONE_PART: list[tuple[str, list[tuple[str, float]]]] = [
    ("", []),
    ("a fox", [("a fox", 1)]),
    ("a (red) fox", [("a ", 1), ("red", 1.1), (" fox", 1)]),
    ("a ((red)) fox", [("a ", 1), ("red", 1.1**2), (" fox", 1)]),
    ("(((red)))", [("red", 1.1**3)]),
    ("a [red] fox", [("a ", 1), ("red", 1 / 1.1), (" fox", 1)]),
    ("[[red]]", [("red", 1.1**-2)]),
    ("(red:1.5)", [("red", 1.5)]),
    ("(red:0.25)", [("red", 0.25)]),
    ("(red:.5) (blue:2.)", [("red", 0.5), (" ", 1), ("blue", 2)]),
    ("(red: +1.5 )", [("red", 1.5)]),
    ("(red:-1)", [("red", -1)]),
    ("(red:0)", [("red", 0)]),
    (r"a \(red\) fox", [("a (red) fox", 1)]),
    (r"\[a\] \\ b", [("[a] \\ b", 1)]),
    (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
    # nested: weights multiply
    ("(a (b:1.5) c:1.2)", [("a ", 1.2), ("b", 1.8), (" c", 1.2)]),
    ("(a [b] c)", [("a ", 1.1), ("b", 1), (" c", 1.1)]),
    ("[a (b:1.5)]", [("a ", 1 / 1.1), ("b", 1.5 / 1.1)]),
    ("((a:1.3))", [("a", 1.43)]),
    # unbalanced
    ("(a", [("a", 1.1)]),
    ("((a b", [("a b", 1.21)]),
    ("a [b", [("a ", 1), ("b", 1 / 1.1)]),
    ("a) b", [("a) b", 1)]),
    ("a] b", [("a] b", 1)]),
    ("a:1.3) b", [("a:1.3) b", 1)]),
    ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 1 / 1.1)]),
    # what is no weight
    ("ratio 16:9", [("ratio 16:9", 1)]),
    ("(a:b)", [("a:b", 1.1)]),
    ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
    ("(a:)", [("a:", 1.1)]),
    ("(a:1,5)", [("a:1,5", 1.1)]),
    ("(a:1.3, b)", [("a:1.3, b", 1.1)]),
    ("[a:1.3]", [("a:1.3", 1 / 1.1)]),
    ("(a:b:1.5)", [("a:b", 1.5)]),
    # neighbours of equal weight are one segment
    ("(un)(known)", [("unknown", 1.1)]),
    ("a()b", [("ab", 1)]),
    ("(un)\\(known)", [("un", 1.1), ("(known)", 1)]),
    # a backslash that escapes nothing
    (r"a\b", [("ab", 1)]),
    ("a\\", [("a", 1)]),
    (r"\\(a)", [("\\", 1), ("a", 1.1)]),
    ("😀 (🦊:1.2)", [("😀 ", 1), ("🦊", 1.2)]),
    ("(two\nlines)", [("two\nlines", 1.1)]),
]

BREAKS: list[tuple[str, list[list[tuple[str, float]]]]] = [
    ("a BREAK b", [[("a", 1)], [("b", 1)]]),
    ("a,\n BREAK \n b", [[("a,", 1)], [("b", 1)]]),
    ("a BREAK BREAK b", [[("a", 1)], [], [("b", 1)]]),
    ("BREAK a BREAK", [[], [("a", 1)], []]),
    ("a break BREAKFAST OUTBREAK b", [[("a break BREAKFAST OUTBREAK b", 1)]]),
    ("a (b:1.2) BREAK (c)", [[("a ", 1), ("b", 1.2)], [("c", 1.1)]]),
    ("(a BREAK b:1.2)", [[("a", 1.2)], [("b", 1.2)]]),
    ("(a) BREAK (b)", [[("a", 1.1)], [("b", 1.1)]]),
]


def assert_read(prompt: str, parts: list[list[tuple[str, float]]]) -> None:
    found = parse_prompt(prompt)
    assert [[segment.text for segment in part] for part in found] == [[text for text, _ in part] for part in parts]
    weights = [weight for part in parts for _, weight in part]
    assert [segment.weight for part in found for segment in part] == pytest.approx(weights, rel=1e-12)


@pytest.mark.parametrize(("prompt", "segments"), ONE_PART)
def test_weights(prompt: str, segments: list[tuple[str, float]]) -> None:
    assert_read(prompt, [segments])


@pytest.mark.parametrize(("prompt", "parts"), BREAKS)
def test_breaks(prompt: str, parts: list[list[tuple[str, float]]]) -> None:
    assert_read(prompt, parts)


@given(st.text())
def test_any_prompt_can_be_read(prompt: str) -> None:
    for part in parse_prompt(prompt):
        assert all(segment.text for segment in part)
        assert all(a.weight != b.weight or a.weight == 1 for a, b in pairwise(part))


@given(st.text())
def test_a_prompt_without_the_syntax_is_one_segment(prompt: str) -> None:
    plain = re.sub(r"[()\[\]\\]", "", prompt).replace("BREAK", "")
    assert parse_prompt(plain) == ([[Segment(plain)]] if plain else [[]])


@given(st.text())
def test_escaped_text_is_itself(text: str) -> None:
    text = text.replace("BREAK", "")
    escaped = re.sub(r"[()\[\]\\]", r"\\\g<0>", text)
    assert parse_prompt(escaped) == ([[Segment(text)]] if text else [[]])


@given(st.text("ab ,"), st.floats(0.01, 100))
def test_a_weight_multiplies_what_it_encloses(text: str, weight: float) -> None:
    [part] = parse_prompt(f"x(({text}):{weight:.6f})")
    assert part[0] == Segment("x")
    assert [segment.weight for segment in part[1:]] == pytest.approx([1.1 * float(f"{weight:.6f}")] * bool(text))


@pytest.mark.parametrize("prompt", ["(a:" + "9" * 400 + ")", "((a:" + "9" * 200 + "):" + "9" * 200 + ")"])
def test_a_weight_that_is_no_number_any_more_is_refused(prompt: str) -> None:
    with pytest.raises(RequestError, match="weight in the prompt is too large"):
        parse_prompt(prompt)
