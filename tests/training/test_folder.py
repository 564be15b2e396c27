"""Reading a folder of pictures and captions."""

import json
from pathlib import Path

import pytest
import torch

from fictile.errors import RequestError
from fictile.picture import save_picture
from fictile.training.folder import HELD_OUT, Entry, Pictures, fit, open_folder, read_entries

from .tiny_runs import SIZE, picture_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture, a.png, that nothing is said of."""
    save_picture(torch.zeros(3, 8, 8), tmp_path / "a.png")
    return tmp_path


def describe(folder: Path, *lines: object) -> None:
    """Write metadata.jsonl; a str stands for itself."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")


def test_an_entry_has_one_caption_or_several_and_a_weight(folder: Path) -> None:
    describe(
        folder,
        {"file_name": "a.png", "text": "a fox"},
        "",
        {"file_name": "a.png", "captions": ["a fox", "ein Fuchs"], "text": "unused", "weight": 0.25, "other": 1},
        {"file_name": "a.png"},
        {"file_name": "a.png", "flip": False},
    )
    path = folder / "a.png"
    assert read_entries(folder) == [
        Entry(path, ("a fox",)),
        Entry(path, ("a fox", "ein Fuchs"), 0.25),
        Entry(path, ("",)),
        Entry(path, ("",), flip=False),
    ]


def test_a_caption_may_hold_any_character(folder: Path) -> None:
    caption = "one\u2028two\x85three"  # what str.splitlines takes for ends of lines
    describe(folder, json.dumps({"file_name": "a.png", "text": caption}, ensure_ascii=False))
    assert read_entries(folder)[0].captions == (caption,)


def test_a_list_may_begin_with_the_mark_of_notepad(folder: Path) -> None:
    line = json.dumps({"file_name": "a.png", "text": "a fox"})
    (folder / "metadata.jsonl").write_text(line, encoding="utf-8-sig")
    assert read_entries(folder) == [Entry(folder / "a.png", ("a fox",))]


def test_pictures_without_metadata_have_no_captions(folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    assert read_entries(folder) == [Entry(folder / "a.png", ("",))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"file_name": "a.png"', "is not an entry like"),
        ("[1]", "is not an entry like"),
        ("7", "is not an entry like"),
        ({"text": "a fox"}, "is not an entry like"),
        ({"file_name": "a.png", "weight": "much"}, "is not an entry like"),
        ({"file_name": "b.png"}, "names b.png, which is not there; add the picture or remove the line"),
        ({"file_name": "a.png", "captions": []}, "has no captions"),
        ({"file_name": "a.png", "captions": "a fox"}, "has no captions"),
        ({"file_name": "a.png", "captions": ["a fox", 3]}, "has no captions"),
        ({"file_name": "a.png", "text": None}, "has no captions"),
        ({"file_name": "a.png", "caption": "a fox"}, 'has "caption", which nobody reads; call it "text"'),
        ({"file_name": "a.png", "Text": "a fox"}, 'has "Text", which nobody reads'),
        ({"file_name": "a.png", "weight": -1}, "has the weight -1.0; it must be a number of at least 0"),
        ({"file_name": "a.png", "weight": float("nan")}, "has the weight nan"),
        ({"file_name": "a.png", "weight": float("inf")}, "has the weight inf"),
        ({"file_name": "a.png", "flip": "no"}, "has \"flip\": 'no'; it must be true, or false"),
    ],
)
def test_a_wrong_line_is_one_sentence_with_its_number(folder: Path, line: object, message: str) -> None:
    describe(folder, {"file_name": "a.png", "text": "a fox"}, line)
    with pytest.raises(RequestError) as error:
        open_folder(folder, SIZE)
    assert str(error.value).startswith(f"Line 2 of {folder / 'metadata.jsonl'} {message}")


def test_metadata_that_is_no_text_is_one_sentence(folder: Path) -> None:
    (folder / "metadata.jsonl").write_bytes(b'{"file_name": "\xff\xfe.png"}')
    with pytest.raises(RequestError, match=r"cannot be read .* it must be a text file in UTF-8"):
        read_entries(folder)


def test_a_folder_needs_pictures(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RequestError, match=r"There is no folder .*missing; give a folder of pictures"):
        open_folder(tmp_path / "missing", SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="empty holds no pictures to train on"):
        open_folder(tmp_path / "empty", SIZE)
    describe(folder, {"file_name": "a.png", "weight": 0})
    with pytest.raises(RequestError, match="holds no pictures to train on"):
        open_folder(folder, SIZE)


def test_a_damaged_picture_is_one_sentence_that_names_it(folder: Path) -> None:
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:40])
    train, _ = open_folder(folder, SIZE)
    with pytest.raises(RequestError, match=r"a\.png"):
        train.pixels(0)


def test_the_same_pictures_are_always_held_out(tmp_path: Path) -> None:
    for index in range(400):
        (tmp_path / f"{index}.png").touch()
    (train, heldout), (_, again) = open_folder(tmp_path, SIZE), open_folder(tmp_path, SIZE)
    assert heldout == again
    assert len(train) + len(heldout) == 400
    assert not {entry.path for entry in train.entries} & {entry.path for entry in heldout.entries}
    assert 0.3 * HELD_OUT < len(heldout) / 400 < 3 * HELD_OUT
    gone = train.entries[0].path
    gone.unlink()  # what becomes of the others does not depend on it
    assert open_folder(tmp_path, SIZE)[1] == heldout


def test_held_out_pictures_may_have_a_folder_of_their_own(tmp_path: Path) -> None:
    train, heldout = open_folder(picture_folder(tmp_path / "data", train=3, heldout=2), SIZE)
    assert (len(train), len(heldout)) == (3, 2)
    assert train.batch([2, 0]).shape == (2, 3, SIZE, SIZE)
    assert torch.equal(train.pixels(1), train.pixels(1))  # from the file, then from memory


def test_a_few_pictures_are_measured_on_themselves(folder: Path) -> None:
    train, heldout = open_folder(folder, SIZE)
    assert train.entries == heldout.entries


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 32), (33, 90), (7, 200), (300, 31), (1, 1)])
def test_any_picture_is_fitted_to_a_square(height: int, width: int) -> None:
    fitted = fit(2 * torch.rand(3, height, width) - 1, SIZE)
    assert fitted.shape == (3, SIZE, SIZE)
    assert fitted.abs().max() <= 1


def test_fitting_keeps_the_middle_and_a_picture_of_the_right_size() -> None:
    square = 2 * torch.rand(3, SIZE, SIZE) - 1
    assert fit(square, SIZE) is square
    bands = torch.cat([torch.full((3, SIZE, SIZE), value) for value in (-1.0, 0.5, 1.0)], dim=2)
    torch.testing.assert_close(fit(bands, SIZE), bands[:, :, SIZE : 2 * SIZE])


def test_pictures_are_drawn_by_weight() -> None:
    weights = (1.0, 0.0, 3.0)
    pictures = Pictures([Entry(Path("a"), ("",), weight) for weight in weights], SIZE)
    drawn = torch.tensor(pictures.draw(8000, torch.Generator().manual_seed(0)))
    shares = [(drawn == index).float().mean().item() for index in range(3)]
    assert shares == pytest.approx([0.25, 0, 0.75], abs=0.02)
    assert shares[1] == 0
