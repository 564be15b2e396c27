"""Prompt -> conditioning: a tokenizer and the text transformer that was trained with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.text.tokenizer import Tokenizer
from fictile.text.transformer import TextTransformer


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
