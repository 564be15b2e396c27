"""Prompts of any length, in chunks of as many tokens as a text transformer reads at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from fictile.text.prompt import Segment
from fictile.text.spec import TextSpec

BACKTRACK = 20  # tokens: a chunk rather ends at a comma among its last ones (the web UI's default)


@dataclass(frozen=True)
class Chunk:
    """Tokens that are read together, and the weight of each."""

    ids: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: slice) -> "Chunk":
        return Chunk(self.ids[place], self.weights[place])


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt as the text transformers read it."""

    text: str
    chunks: tuple[Chunk, ...]  # one or more
    room: int  # tokens that fit into a chunk, begin and end left out
    weighted: tuple[Segment, ...]  # what has another weight than 1

    @property
    def tokens(self) -> int:
        """How many tokens the prompt has, begin, end and padding left out."""
        return sum(map(len, self.chunks))

    def __str__(self) -> str:
        """In words: "34 tokens in 1 chunk of 75; house x 1.3"."""
        tokens, chunks = (
            f"{count} {noun}{'' if count == 1 else 's'}"
            for count, noun in ((self.tokens, "token"), (len(self.chunks), "chunk"))
        )
        weights = ", ".join(f"{' '.join(segment.text.split())} x {segment.weight:.4g}" for segment in self.weighted)
        return f"{tokens} in {chunks} of {self.room}" + (f"; {weights}" if weights else "")


def chunks_of(parts: Sequence[Sequence[Segment]], tokens: Callable[[str], list[int]]) -> list[Chunk]:
    """A chunk, however long, for each part between BREAKs. The last part is left out where it is empty, unless it is
    the only one.
    """
    chunks: list[Chunk] = []
    for part in parts:
        runs = [(tokens(segment.text), segment.weight) for segment in part]
        ids = tuple(token for run, _ in runs for token in run)
        chunks.append(Chunk(ids, tuple(weight for run, weight in runs for _ in run)))
    return chunks if len(chunks) == 1 or len(chunks[-1]) else chunks[:-1]


def split_chunk(chunk: Chunk, room: int, comma: int) -> list[Chunk]:
    """The chunk in pieces of at most `room` tokens, as AUTOMATIC1111's web UI cuts them.

    Each piece takes as many tokens as there is room for. But where a comma stands among the last 20 of them and is not
    the first of the tokens that are left, what follows it goes into the next piece.
    """
    pieces: list[Chunk] = []
    while len(chunk) > room:
        end = room
        if chunk.ids[room] != comma:
            near = range(room - 1, max(room - BACKTRACK, 0) - 1, -1)
            end = next((place + 1 for place in near if chunk.ids[place] == comma), room)
        pieces.append(chunk[:end])
        chunk = chunk[end:]
    return [*pieces, chunk]


def token_rows(chunks: Sequence[Chunk], spec: TextSpec, pad: int) -> Int64[Tensor, "b n"]:
    """A row for each chunk: begin, its tokens, end, and `pad` up to the transformer's context."""
    rows = [[spec.begin, *chunk.ids, spec.end] for chunk in chunks]
    return torch.tensor([row + [pad] * (spec.context - len(row)) for row in rows], dtype=torch.int64)


def weight_rows(chunks: Sequence[Chunk], spec: TextSpec) -> list[list[float]]:
    """The weights of `token_rows`; begin, end and padding have weight 1."""
    return [[1.0, *chunk.weights] + [1.0] * (spec.context - 1 - len(chunk)) for chunk in chunks]
