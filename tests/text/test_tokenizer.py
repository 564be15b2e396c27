"""Any string is legal, nothing is lost, and the file says everything."""

from pathlib import Path

import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from fictile.errors import RequestError
from fictile.text import Tokenizer

CAPTIONS = ["a red fox", "a fox wearing a crown", "A  Red crown", "ein Füchslein", "🦊 a fox's head"] * 3
TOKENIZER = Tokenizer.train(CAPTIONS, vocabulary=300, context=16)
ROOMY = Tokenizer.train(CAPTIONS, vocabulary=300, context=64)
any_text = st.text(st.characters(codec=None))  # lone surrogates included


def opened(tokenizer: Tokenizer, folder: Path) -> tokenizers.Tokenizer:
    """What the tokenizers library makes of a saved file by itself."""
    tokenizer.save(folder / "tokenizer.json")
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tokenizers.Tokenizer:
    return opened(TOKENIZER, tmp_path_factory.mktemp("tokenizer"))


def test_a_row_is_begin_tokens_end_and_pad() -> None:
    ids = TOKENIZER.encode(["a fox", ""])
    assert ids.dtype == torch.int64
    assert ids.shape == (2, TOKENIZER.context)
    begin, end, pad = TOKENIZER.begin, TOKENIZER.end, TOKENIZER.pad
    assert len({begin, end, pad}) == 3
    assert ids[1].tolist() == [begin, end] + [pad] * 14
    assert ids[0, 0] == begin
    assert ids[0, 3:].tolist() == [end] + [pad] * 12
    assert TOKENIZER.count("a fox") == 2
    assert TOKENIZER.count("") == 0


def test_no_texts_give_no_rows() -> None:
    assert TOKENIZER.encode([]).shape == (0, TOKENIZER.context)


@pytest.mark.parametrize("text", ["A Red\tFOX", "  a red \n fox ", "a red fox"])
def test_case_and_white_space_mean_nothing(text: str) -> None:
    assert torch.equal(TOKENIZER.encode([text]), TOKENIZER.encode(["a red fox"]))


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert torch.equal(TOKENIZER.encode(["fu\u0308chslein"]), TOKENIZER.encode(["f\u00fcchslein"]))


def test_a_word_is_the_same_wherever_it_stands() -> None:
    assert TOKENIZER.encode(["fox"])[0, 1] == TOKENIZER.encode(["a fox"])[0, 2]


@given(any_text)
def test_any_string_is_legal(text: str) -> None:
    row = TOKENIZER.encode([text], truncate=True)[0].tolist()
    length = min(TOKENIZER.count(text), TOKENIZER.context - 2)
    assert len(row) == TOKENIZER.context
    assert row[0] == TOKENIZER.begin
    assert row[length + 1 :] == [TOKENIZER.end] + [TOKENIZER.pad] * (TOKENIZER.context - 2 - length)
    assert not {TOKENIZER.begin, TOKENIZER.end, TOKENIZER.pad} & set(row[1 : length + 1])
    assert max(row) < TOKENIZER.vocabulary


@given(st.text(max_size=8))
def test_nothing_but_case_and_white_space_is_lost(plain: tokenizers.Tokenizer, text: str) -> None:
    assert plain.normalizer is not None
    decoded = plain.decode(ROOMY.encode([text])[0].tolist(), skip_special_tokens=True)
    assert decoded.removeprefix(" ") == plain.normalizer.normalize_str(text)


@pytest.mark.parametrize("text", ["<|end|>", "<|begin|>fox", "a <|pad|>"])
def test_special_words_in_a_text_are_ordinary_characters(text: str, plain: tokenizers.Tokenizer) -> None:
    ids = TOKENIZER.encode([text], truncate=True)[0].tolist()
    assert ids.count(TOKENIZER.end) == 1
    assert plain.decode(ids, skip_special_tokens=True).strip() == text


def test_too_long_a_prompt_is_refused_with_the_counts() -> None:
    with pytest.raises(RequestError, match="The prompt has 20 tokens, this model takes 14: shorten it by 6"):
        TOKENIZER.encode(["a fox", "a fox " * 10])
    assert TOKENIZER.encode(["a fox " * 7]).shape == (1, 16)


def test_training_cuts_long_captions_and_keeps_the_end() -> None:
    cut = TOKENIZER.encode(["a fox " * 10], truncate=True)
    assert torch.equal(cut, TOKENIZER.encode(["a fox " * 7]))


def test_training_is_deterministic(tmp_path: Path) -> None:
    again = Tokenizer.train(iter(CAPTIONS), vocabulary=300, context=16)
    assert opened(again, tmp_path).to_str() == opened(TOKENIZER, tmp_path).to_str()


def test_captions_may_hold_any_string() -> None:
    assert Tokenizer.train(["\udc80", "", "\x00"], vocabulary=259, context=3).vocabulary == 259


@pytest.mark.parametrize(("vocabulary", "context", "named"), [(258, 16, "vocabulary of 258"), (300, 2, "context of 2")])
def test_too_small_a_tokenizer_is_refused(vocabulary: int, context: int, named: str) -> None:
    with pytest.raises(RequestError, match=named):
        Tokenizer.train(CAPTIONS, vocabulary, context)


def test_a_saved_tokenizer_is_the_same_one(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    loaded = Tokenizer.load(path)
    assert vars(loaded).keys() == vars(TOKENIZER).keys()
    for name in ("begin", "end", "pad", "vocabulary", "context"):
        assert getattr(loaded, name) == getattr(TOKENIZER, name)
    texts = [*CAPTIONS, "<|end|>", "\udc80"]
    assert torch.equal(loaded.encode(texts, truncate=True), TOKENIZER.encode(texts, truncate=True))
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_the_tokenizers_library_reads_the_file_alone(plain: tokenizers.Tokenizer) -> None:
    assert plain.encode("a red fox").ids == TOKENIZER.encode(["a red fox"])[0].tolist()


def test_files_that_are_no_tokenizer_are_refused(tmp_path: Path) -> None:
    broken, foreign = tmp_path / "broken.json", tmp_path / "foreign.json"
    broken.write_text('{"version": ')
    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(foreign))
    for path in (broken, tmp_path / "missing.json", tmp_path):
        with pytest.raises(RequestError, match=f"{path} cannot be read as a tokenizer"):
            Tokenizer.load(path)
    with pytest.raises(RequestError, match="no fixed length"):
        Tokenizer.load(foreign)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"missing to write tokenizer\.json into"):
        TOKENIZER.save(tmp_path / "missing" / "tokenizer.json")
