"""The ids of CLIP's tokenizer: published ones, and transformers' for any string."""

import gzip
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer as Theirs

from fictile.errors import RequestError
from fictile.text.clip import CLIPTokenizer, clip_tokenizer

PUBLISHED = {  # as tests and examples of many ports of CLIP name them
    "a photo of a cat": [320, 1125, 539, 320, 2368],
    "a photo of a dog": [320, 1125, 539, 320, 1929],
    "hello world!": [3306, 1002, 256],
    "a diagram": [320, 22697],
    ",": [267],
    "!": [256],
    "": [],
}
HARD = [
    "It's John's, they're we've I'm you'll he'd DON'T",
    "in 2024 there were 1,234,567.89 €",
    "\uff26\uff35\uff2c\uff2c \uff57\uff49\uff44\uff54\uff48, ﬁne, Ⅷ, ½, ٣",
    "héllo wörld, he\u0301llo, İstanbul, ẞ, ß, Ǆ",
    "日本語のテスト, русский, العربية, हिन्दी",
    "🦊 a fox 👩‍👩‍👧‍👦 🇦🇷 ✌🏽",
    "Â© mojibake &amp; &lt;b&gt; &#39;",
    "  white\u00a0space\t\n\u2003\u200b everywhere ",
    "x" * 500,
    "antidisestablishmentarianism" * 5,
    "a<|endoftext|>b <|startoftext|> <|ENDOFTEXT|> <|end",
    "\x00\x01\x7f\u0085\u2028\ufeff\U0010ffff",
    "-- ... ,,, (((a))) [b] {c} \\(d\\) :-) ^_^",
    "'S 'Re 'LL \u2019s",
]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    clip_tokenizer().save_diffusers(folder, pad=clip_tokenizer().end)
    return Theirs.from_pretrained(folder)


@pytest.mark.parametrize(("text", "ids"), PUBLISHED.items())
def test_published_ids(text: str, ids: list[int]) -> None:
    assert clip_tokenizer().tokens(text) == ids


def test_the_merges_are_openais() -> None:
    """The hash of the first 48,894 pairs of bpe_simple_vocab_16e6.txt, under the line that `merges.txt` begins with."""
    content = gzip.decompress((files("fictile.text") / "clip_merges.txt.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"


def test_the_vocabulary_is_clips() -> None:
    tokenizer = CLIPTokenizer()
    assert (tokenizer.vocabulary, tokenizer.begin, tokenizer.end, tokenizer.comma) == (49408, 49406, 49407, 267)


@pytest.mark.parametrize("text", HARD)
def test_hard_strings_have_transformers_ids(theirs: Any, text: str) -> None:
    assert clip_tokenizer().tokens(text) == theirs(text, add_special_tokens=False)["input_ids"]


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40))
@example("ΑΣ ΑΣ.")
def test_any_string_has_transformers_ids(theirs: Any, text: str) -> None:
    assert clip_tokenizer().tokens(text) == theirs(text, add_special_tokens=False)["input_ids"]


def test_an_undecodable_byte_is_a_question_mark() -> None:
    assert clip_tokenizer().tokens("fox \udc80") == clip_tokenizer().tokens("fox ?")


def test_an_exclamation_mark_is_a_word_also_where_its_token_is_the_padding(tmp_path: Path) -> None:
    """OpenCLIP's transformers were trained on 256 for it. transformers reads the 0 that it pads them with."""
    clip_tokenizer().save_diffusers(tmp_path, pad=0)
    assert Theirs.from_pretrained(tmp_path)("a fox!", add_special_tokens=False)["input_ids"] == [320, 3240, 0]
    assert clip_tokenizer().tokens("a fox!") == [320, 3240, 256]


def test_entities_and_mojibake_stay_as_they_are() -> None:
    """OpenAI's own code would make "fox & hound" of it; the tools that run Stable Diffusion do not."""
    tokens = clip_tokenizer().tokens
    assert tokens("fox &amp; hound") == tokens("fox & amp ; hound")[:3] + tokens(";") + tokens("hound")
    assert tokens("fox &amp; hound") != tokens("fox & hound")


@pytest.mark.parametrize(("pad", "word"), [(49407, "<|endoftext|>"), (0, "!")])
def test_the_saved_files_say_how_to_pad(tmp_path: Path, pad: int, word: str) -> None:
    clip_tokenizer().save_diffusers(tmp_path, pad)
    opened: Any = Theirs.from_pretrained(tmp_path)
    assert (opened.pad_token, opened.pad_token_id, opened.model_max_length) == (word, pad, 77)
    row = opened("a fox", padding="max_length")["input_ids"]
    assert row == [49406, *clip_tokenizer().tokens("a fox"), 49407] + [pad] * 73


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be made"):
        clip_tokenizer().save_diffusers(tmp_path / "file" / "tokenizer", pad=0)
