"""Prompt -> conditioning: a tokenizer and the text transformer that was trained with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.text.chunks import Prompt, chunks_of
from fictile.text.conditioner import Place, TextFeatures, encode_texts, weighted
from fictile.text.family import TextFamily
from fictile.text.tokenizer import Tokenizer
from fictile.text.transformer import TextTransformer
from fictile.text.weighting import segments


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer and its transformer. Raises RequestError when the one was not made for the other."""

    tokenizer: Tokenizer
    network: TextTransformer

    def __post_init__(self) -> None:
        for name in ("vocabulary", "context", "begin", "end", "pad"):
            given, expected = getattr(self.tokenizer, name), getattr(self.network.spec, name)
            if given != expected:
                raise RequestError(
                    f"The tokenizer's {name} is {given} and the text transformer's is {expected}: "
                    "use the tokenizer that the transformer was trained with."
                )

    def encode(self, texts: Sequence[str]) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b p"]]:
        """The context that cross-attention reads, one vector per token, and one pooled vector per text.

        Raises RequestError when a text has more tokens than the transformer reads.
        """
        ids = self.tokenizer.encode(texts).to(next(self.network.parameters()).device)
        output = self.network(ids)
        return output.last, output.pooled

    @property
    def networks(self) -> tuple[TextTransformer, ...]:
        """The one transformer."""
        return (self.network,)

    @property
    def context_width(self) -> int:
        """Features per token."""
        return self.network.spec.width

    @property
    def added(self) -> None:
        """A denoiser trained with this encoder reads its context alone."""

    def read(self, prompt: str, *, weighting: str = "a1111", clip_skip: int = 1) -> Prompt:
        """A prompt's tokens. It was trained on captions of one chunk, so that a longer prompt is not cut in two;
        only BREAK begins another chunk.

        Raises RequestError for a prompt (or what stands between BREAKs) that is too long, and for an unknown weighting
        or a clip skip out of range.
        """
        self._family.layer(self.network.spec.layers, clip_skip)
        parts = segments(prompt, weighting)
        chunks, room = chunks_of(parts, self.tokenizer.tokens), self.tokenizer.context - 2
        for chunk in chunks:
            self.tokenizer.check_length(len(chunk))
        return Prompt(text=prompt, chunks=tuple(chunks), room=room, weighted=weighted(parts))

    def condition(
        self, prompt: str, negative: str, *, size: tuple[int, int], weighting: str = "a1111", clip_skip: int = 1
    ) -> tuple[TextFeatures, TextFeatures]:
        """What a picture should show and what not, whatever its size: two contexts of one length.

        Raises RequestError as `read` does.
        """
        texts = [self.read(text, weighting=weighting, clip_skip=clip_skip) for text in (prompt, negative)]
        pad = self.tokenizer.pad
        context, _ = encode_texts(self.network, texts, self._family, pad=pad, weighting=weighting, clip_skip=clip_skip)
        wanted, unwanted = (TextFeatures(context=row[None]) for row in context)
        return wanted, unwanted

    def placed(self, place: Place) -> "TextEncoder":
        """The same with another copy of the network."""
        return replace(self, network=place(self.network))

    @property
    def _family(self) -> TextFamily:
        """Its last layer is read, normed, as Stable Diffusion 1 does."""
        return TextFamily(pads=(self.tokenizer.pad,))
