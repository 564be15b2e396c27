"""Text -> token ids: a byte-level byte-pair encoding (arXiv 1508.07909) trained on the captions themselves."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
import torch
from jaxtyping import Int64
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from fictile.errors import RequestError
from fictile.files import written_whole

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
SMALLEST_VOCABULARY = 256 + 3  # every byte, and the three tokens above


class Tokenizer:
    """Turns any string into as many token ids as the text transformer reads.

    Text is lower-cased, brought to Unicode's NFC and its white space collapsed. What is left is split into words and
    these into bytes, so that no string is illegal. The words for begin, end and pad have no meaning inside a text.
    """

    def __init__(self, tokens: tokenizers.Tokenizer) -> None:
        """Wrap a tokenizer whose file was written by `save`; raises RequestError for any other."""
        padding = tokens.padding
        begin, end, pad = (tokens.token_to_id(token) for token in (BEGIN, END, PAD))
        if padding is None or padding["length"] is None or begin is None or end is None or pad is None:
            raise RequestError(
                f"The tokenizer has no fixed length or lacks {BEGIN}, {END} or {PAD}: name a file that Fictile wrote."
            )
        tokens.encode_special_tokens = True  # in a text they are ordinary characters
        self._tokens = tokens
        self.begin, self.end, self.pad = begin, end, pad
        self.context: int = padding["length"]
        self.vocabulary: int = tokens.get_vocab_size()

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int, context: int) -> "Tokenizer":
        """Learn the merges of `captions`: the same captions give the same tokenizer.

        `vocabulary` is the most ids there may be (a small set of captions fills fewer), `context` the ids per text,
        begin and end included. Raises RequestError when either is too small to hold anything.
        """
        if vocabulary < SMALLEST_VOCABULARY:
            raise RequestError(
                f"A vocabulary of {vocabulary} cannot hold every byte: ask for {SMALLEST_VOCABULARY} or more."
            )
        if context < 3:
            raise RequestError(f"A context of {context} holds no token between begin and end: ask for 3 or more.")
        tokens = tokenizers.Tokenizer(models.BPE())
        tokens.normalizer = normalizers.Sequence(
            [normalizers.Lowercase(), normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        )
        tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # the first word is a word like others
        tokens.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            min_frequency=2,
            special_tokens=[BEGIN, END, PAD],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokens.train_from_iterator(map(encodable, captions), trainer)
        begin, end, pad = (tokens.token_to_id(token) for token in (BEGIN, END, PAD))
        tokens.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, begin), (END, end)]
        )
        tokens.enable_padding(length=context, pad_id=pad, pad_token=PAD)
        return cls(tokens)

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a `tokenizer.json`; raises RequestError when it is missing, broken or not one that `save` wrote."""
        try:
            tokens = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise RequestError(
                f"{path} cannot be read as a tokenizer ({error}): name a tokenizer.json that Fictile wrote."
            ) from error
        return cls(tokens)

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json` that the tokenizers library opens too; raises RequestError where it cannot."""
        with written_whole(path) as temporary:
            temporary.write_text(self._tokens.to_str(pretty=True), encoding="utf-8")

    def encode(self, texts: Sequence[str], *, truncate: bool = False) -> Int64[Tensor, "b n"]:
        """Each text as begin, its tokens, end, then pad up to `context`.

        Raises RequestError with the counts when a text is too long, unless `truncate` cuts it.
        """
        rows = [self._tokens.encode(encodable(text)).ids for text in texts]
        if truncate:
            rows = [row if len(row) <= self.context else [*row[: self.context - 1], self.end] for row in rows]
        for row in rows:
            self.check_length(len(row) - 2)
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), self.context)

    def check_length(self, count: int) -> None:
        """Raises RequestError with the counts when a text of so many tokens is too long."""
        room = self.context - 2
        if count > room:
            raise RequestError(f"The prompt has {count} tokens, this model takes {room}: shorten it by {count - room}.")

    def tokens(self, text: str) -> list[int]:
        """The ids of a text of any length, without begin, end and pad."""
        return [
            token for token in self._tokens.encode(encodable(text), add_special_tokens=False).ids if token != self.pad
        ]

    def count(self, text: str) -> int:
        """How many tokens `text` has, begin and end left out; `context - 2` of them fit."""
        return len(self.tokens(text))


def encodable(text: str) -> str:
    """Lone surrogates, as an undecodable byte on the command line leaves them, are the only thing UTF-8 cannot say."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
