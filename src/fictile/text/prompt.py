"""The syntax of prompts: what is weighted, and where a new chunk begins."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fictile.errors import RequestError

MORE, LESS = 1.1, 1 / 1.1  # what a pair of round and of square brackets does to what stands between them

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_PIECES = re.compile(rf"\\(?P<escaped>[()\[\]\\]?)|:\s*(?P<factor>{_NUMBER})\s*\)|[()\[\]:]|[^\\()\[\]:]+")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


@dataclass(frozen=True)
class Segment:
    """A stretch of a prompt that has one weight."""

    text: str
    weight: float = 1.0


def parse_prompt(prompt: str) -> list[list[Segment]]:
    r"""Read the syntax of AUTOMATIC1111's web UI: one list of segments for each part between `BREAK`s.

        prompt  = part { "BREAK" part }
        part    = { text | escape | "(" part ")" | "(" part ":" number ")" | "[" part "]" }
        escape  = "\(" | "\)" | "\[" | "\]" | "\\"

    - `(a)` multiplies the weight of a by 1.1, `[a]` divides it by 1.1, `(a:1.3)` multiplies it by 1.3; they nest.
    - A number is decimal, with or without a sign. What is no number is text, and the bracket counts as `(a)`. A number
      means nothing in square brackets, where it is text too.
    - A bracket that is never closed reaches to the end of the prompt; one that was never opened is text.
    - The two kinds need not nest in one another: in `(a [b) c]` b has both weights.
    - A backslash before anything else, or at the end, vanishes.
    - `BREAK`, in capitals and as a word of its own, swallows the white space around it.
    - Neighbours of equal weight are one segment, so `(un)(known)` is the word "unknown". Empty segments are left out.

    This is the behaviour of that tool (its wiki, "Attention/emphasis"), with three differences: there a BREAK inside
    brackets loses its meaning, and a number with two points is a failure; and its scheduling of words over the steps,
    `[a:b:0.5]`, `[a|b]` and `AND`, does not exist here: the brackets are read as above.

    Raises RequestError when the weights are too large to be numbers.
    """
    pieces: list[_Piece] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def close(bracket: str, factor: float) -> None:
        for piece in pieces[opened[bracket].pop() :]:
            piece.weight *= factor

    for match in _PIECES.finditer(prompt):
        text, factor, escaped = match[0], match["factor"], match["escaped"]
        if escaped is not None:
            pieces.append(_Piece(escaped))
        elif text in opened:
            opened[text].append(len(pieces))
        elif factor and opened["("]:
            close("(", float(factor))
        elif text == ")" and opened["("]:
            close("(", MORE)
        elif text == "]" and opened["["]:
            close("[", LESS)
        else:
            first, *others = _BREAK.split(text)
            pieces.append(_Piece(first))
            pieces.extend(_Piece(other, begins_part=True) for other in others)
    for bracket, factor in (("(", MORE), ("[", LESS)):
        while opened[bracket]:
            close(bracket, factor)
    if not all(math.isfinite(piece.weight) for piece in pieces):
        raise RequestError("A weight in the prompt is too large to be a number; give weights of about 0.5 to 1.5.")
    return _merged(pieces)


@dataclass
class _Piece:
    text: str
    weight: float = field(default=1.0, init=False)
    begins_part: bool = field(default=False, kw_only=True)


def _merged(pieces: Sequence[_Piece]) -> list[list[Segment]]:
    """The parts, with neighbours of equal weight as one segment."""
    parts: list[list[Segment]] = [[]]
    for piece in pieces:
        if piece.begins_part:
            parts.append([])
        part = parts[-1]
        if part and part[-1].weight == piece.weight:
            part[-1] = Segment(part[-1].text + piece.text, piece.weight)
        else:
            part.append(Segment(piece.text, piece.weight))
    return [[segment for segment in part if segment.text] for part in parts]
