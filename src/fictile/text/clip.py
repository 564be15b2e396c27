"""CLIP's tokenizer: text -> token ids, with the vocabulary of every published Stable Diffusion model.

`clip_merges.txt.gz` beside this file holds OpenAI's merges in the layout of the `merges.txt` that lies in every model
folder: a line that names the version, then 48,894 pairs, the most frequent first. The vocabulary follows from them.
"""

import gzip
import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers

from fictile.files import made_folder, written_whole
from fictile.text.tokenizer import encodable

MERGES = "clip_merges.txt.gz"
WORD_END = "</w>"
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
CONTEXT = 77  # tokens that CLIP reads at once, begin and end included

# OpenAI's pattern (github.com/openai/CLIP, clip/simple_tokenizer.py): contractions, words, single digits, the rest.
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>"
    r"|'s|'t|'re|'ve|'m|'ll|'d"
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class CLIPTokenizer:
    """OpenAI's lower-cased byte-pair encoding (arXiv 2103.00020, section 2.4), as tools for Stable Diffusion run it.

    Text is brought to Unicode's NFC, its white space collapsed and its letters lowered. The ids are those of
    transformers' `CLIPTokenizer`: "<|startoftext|>" and "<|endoftext|>" inside a text are those tokens; mojibake is not
    repaired and HTML entities stay as they are, which OpenAI's and OpenCLIP's own code would resolve. One thing
    differs: where a model pads with token 0, transformers reads each "!" of a text as that token, and here it stays the
    word (256) that the model has learnt.
    """

    def __init__(self) -> None:
        merges = [(left, right) for left, right in (line.split(" ") for line in _merges()[1:])]
        vocabulary = _vocabulary(merges)
        self._tokens = tokenizers.Tokenizer(
            models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=WORD_END, unk_token=END)
        )
        self._tokens.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)  # what lies between them goes
        self._tokens.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        self._tokens.add_special_tokens([BEGIN, END])
        self.vocabulary: int = self._tokens.get_vocab_size()
        self.begin, self.end = vocabulary[BEGIN], vocabulary[END]
        self.comma = vocabulary["," + WORD_END]
        self._vocabulary = vocabulary

    def tokens(self, text: str) -> list[int]:
        """The ids of a text of any length, without begin and end."""
        return self._tokens.encode(encodable(text), add_special_tokens=False).ids

    def save_diffusers(self, folder: str | Path, pad: int) -> None:
        """Write the files that transformers' `CLIPTokenizer` opens, as they lie in the `tokenizer` folder of a model.

        `pad` is the token that fills short texts. Raises RequestError when the folder cannot be written to.
        """
        special = {"bos_token": BEGIN, "eos_token": END, "unk_token": END, "pad_token": list(self._vocabulary)[pad]}
        config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CONTEXT, "do_lower_case": True, **special}
        contents = {
            "vocab.json": json.dumps(self._vocabulary, ensure_ascii=False),
            "merges.txt": "\n".join(_merges()) + "\n",
            "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
            "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        }
        path = made_folder(folder)
        for name, content in contents.items():
            with written_whole(path / name) as temporary:
                temporary.write_text(content, encoding="utf-8")


@cache
def clip_tokenizer() -> CLIPTokenizer:
    """The one CLIP tokenizer there is; it takes a fifth of a second to build."""
    return CLIPTokenizer()


def _merges() -> list[str]:
    """The lines of the file: its version, then the pairs."""
    return gzip.decompress((files("fictile.text") / MERGES).read_bytes()).decode().splitlines()


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Every byte, every byte that ends a word, what the merges make, begin and end: in this order from 0 on."""
    alphabet = _byte_characters()
    words = [*alphabet, *(byte + WORD_END for byte in alphabet), *(left + right for left, right in merges), BEGIN, END]
    return {word: index for index, word in enumerate(words)}


def _byte_characters() -> list[str]:
    """GPT-2's character for each byte: the printable ones of Latin-1 stand for themselves and come first."""
    printable = [byte for byte in range(256) if chr(byte).isprintable() and not chr(byte).isspace()]
    return [*map(chr, printable), *(chr(256 + index) for index in range(256 - len(printable)))]
