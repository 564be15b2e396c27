"""Prompt and negative prompt -> what a denoiser is told, for any family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.text.chunks import Chunk, Prompt, chunks_of, split_chunk, token_rows, weight_rows
from fictile.text.clip import clip_tokenizer
from fictile.text.family import TextFamily
from fictile.text.prompt import Segment
from fictile.text.transformer import TextTransformer
from fictile.text.weighting import segments, weigh

Place = Callable[[TextTransformer], TextTransformer]


@dataclass(frozen=True, kw_only=True)
class TextFeatures:
    """What the denoiser is told of one text."""

    context: Float[Tensor, "1 n d"]  # of all chunks, one after the other
    pooled: Float[Tensor, "1 p"] | None = None  # of the first chunk
    sizes: Float[Tensor, "1 k"] | None = None  # see `TextFamily.sizes`


@runtime_checkable
class TextConditioner(Protocol):
    """What a model asks of its text encoders."""

    @property
    def networks(self) -> tuple[TextTransformer, ...]:
        """The text transformers, in the order in which their features stand."""
        ...

    @property
    def context_width(self) -> int:
        """Features per token."""
        ...

    @property
    def added(self) -> tuple[int, int] | None:
        """How many pooled features there are and how many sizes, for denoisers that read both."""
        ...

    def read(self, prompt: str, *, weighting: str = "a1111", clip_skip: int = 1) -> Prompt:
        """A prompt's tokens, before anything is computed.

        Raises RequestError for a prompt that is too long, and for an unknown weighting or a clip skip out of range.
        """
        ...

    def condition(
        self, prompt: str, negative: str, *, size: tuple[int, int], weighting: str = "a1111", clip_skip: int = 1
    ) -> tuple[TextFeatures, TextFeatures]:
        """What a picture of this height and width should show and what not: two contexts of one length.

        Raises RequestError as `read` does.
        """
        ...

    def placed(self, place: Place) -> "TextConditioner":
        """The same with `place(network)` for each network."""
        ...


@dataclass(frozen=True)
class CLIPConditioner:
    """The text encoders of a published model, read as its family reads them.

    A prompt may have any length: it is cut into chunks of 75 tokens, each of which the transformers read by itself, and
    the denoiser reads the features of all of them. The shorter of prompt and negative prompt is filled up with empty
    chunks.

    Raises RequestError when the transformers are too many or too few, or were not made for CLIP's tokenizer.
    """

    family: TextFamily
    networks: tuple[TextTransformer, ...]

    def __post_init__(self) -> None:
        if len(self.networks) != len(self.family.pads):
            raise RequestError(
                f"This family of models has {len(self.family.pads)} text transformers, but {len(self.networks)} were "
                "given; give those that its denoiser was trained with."
            )
        tokenizer = clip_tokenizer()
        for network in self.networks:
            spec = network.spec
            if spec.vocabulary < tokenizer.vocabulary or (spec.begin, spec.end) != (tokenizer.begin, tokenizer.end):
                raise RequestError(
                    f"The text transformer knows {spec.vocabulary} tokens from {spec.begin} (begin) to {spec.end} "
                    f"(end), but CLIP has {tokenizer.vocabulary} from {tokenizer.begin} to {tokenizer.end}; "
                    "give a CLIP text transformer."
                )
            if spec.context != self.networks[0].spec.context:
                raise RequestError(
                    f"One text transformer reads {self.networks[0].spec.context} tokens at once and the other "
                    f"{spec.context}; give two of one length."
                )

    @property
    def context_width(self) -> int:
        return sum(network.spec.width for network in self.networks)

    @property
    def added(self) -> tuple[int, int] | None:
        if not self.family.pooled:
            return None
        spec = self.networks[-1].spec
        return spec.projection or spec.width, len(self.family.sizes((0, 0), wanted=True))

    def read(self, prompt: str, *, weighting: str = "a1111", clip_skip: int = 1) -> Prompt:
        for network in self.networks:
            self.family.layer(network.spec.layers, clip_skip)
        tokenizer, room = clip_tokenizer(), self.networks[0].spec.context - 2
        parts = segments(prompt, weighting)
        chunks = [
            piece for chunk in chunks_of(parts, tokenizer.tokens) for piece in split_chunk(chunk, room, tokenizer.comma)
        ]
        return Prompt(text=prompt, chunks=tuple(chunks), room=room, weighted=weighted(parts))

    def condition(
        self, prompt: str, negative: str, *, size: tuple[int, int], weighting: str = "a1111", clip_skip: int = 1
    ) -> tuple[TextFeatures, TextFeatures]:
        texts = [self.read(text, weighting=weighting, clip_skip=clip_skip) for text in (prompt, negative)]
        encoded = [
            encode_texts(network, texts, self.family, pad=pad, weighting=weighting, clip_skip=clip_skip)
            for network, pad in zip(self.networks, self.family.pads, strict=True)
        ]
        context = torch.cat([context for context, _ in encoded], dim=-1)
        pooled = encoded[-1][1]
        if self.family.zero_empty and not texts[1].tokens:
            context, pooled = (torch.cat([part[:1], torch.zeros_like(part[1:])]) for part in (context, pooled))
        wanted, unwanted = (TextFeatures(context=row[None]) for row in context)
        if not self.family.pooled:
            return wanted, unwanted
        numbers = [self.family.sizes(size, wanted=sign) for sign in (True, False)]
        sizes = torch.tensor(numbers, dtype=torch.float32, device=pooled.device)  # bf16 cannot hold a 1001
        return (
            replace(wanted, pooled=pooled[:1], sizes=sizes[:1]),
            replace(unwanted, pooled=pooled[1:], sizes=sizes[1:]),
        )

    def placed(self, place: Place) -> "CLIPConditioner":
        return replace(self, networks=tuple(map(place, self.networks)))


def encode_texts(
    network: TextTransformer,
    texts: Sequence[Prompt],
    family: TextFamily,
    *,
    pad: int,
    weighting: str = "a1111",
    clip_skip: int = 1,
) -> tuple[Float[Tensor, "t n d"], Float[Tensor, "t p"]]:
    """The features of every token of each text, and the pooled vector of its first chunk.

    All chunks are one batch. Texts of fewer chunks than the longest are filled up with empty ones.
    """
    count = max(len(text.chunks) for text in texts)
    chunks = [chunk for text in texts for chunk in (*text.chunks, *[Chunk()] * (count - len(text.chunks)))]
    ids = token_rows(chunks, network.spec, pad).to(next(network.parameters()).device)
    output = network(ids)
    layer = family.layer(network.spec.layers, clip_skip)
    if not family.final_norm:
        features = output.hidden_states[layer]
    elif layer == network.spec.layers:
        features = output.last
    else:
        features = network.text_model.final_layer_norm(output.hidden_states[layer])
    features = weigh(features, weight_rows(chunks, network.spec), weighting)
    return features.reshape(len(texts), -1, features.shape[-1]), output.pooled[::count]


def weighted(parts: Sequence[Sequence[Segment]]) -> tuple[Segment, ...]:
    """The segments that have another weight than 1."""
    return tuple(segment for part in parts for segment in part if segment.weight != 1)
