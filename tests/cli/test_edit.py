"""`fictile edit`, `fictile verify` and the replay of an edit, with a tiny untrained model."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.command_line import Run

from fictile.picture import open_source


def test_an_edit_is_made_proven_and_replayed(run: Run, tiny: Path, photo: Path) -> None:
    made = run("edit", photo, "a fox", "--box", "8,4,10x8", "--feather", 2, "--seed", 1, "-m", tiny, "-o", "out.png")
    assert (made.code, made.stdout) == (0, "")
    proven = run("verify", "out.png", "--against", photo)
    assert (proven.code, proven.stdout) == (0, "")
    assert "not one sample of them has changed" in proven.stderr
    assert run("replay", "out.png", "--from", photo, "-m", tiny, "-o", "again.png").code == 0
    assert np.array_equal(open_source("again.png").samples.array, open_source("out.png").samples.array)
    assert run("replay", "out.png", "-m", tiny).sentence.endswith("give the file of the picture that was edited.")


def test_masks_of_all_kinds_add_up(run: Run, tiny: Path, photo: Path) -> None:
    array = np.dstack([np.array(Image.open(photo)), np.full((24, 40), 255, np.uint8)])
    array[:2, :2, 3] = 0
    array[4, 4, :3] = (255, 0, 255)
    Image.fromarray(array).save("layer.png")
    Image.fromarray(np.eye(24, 40, k=16, dtype=np.uint8) * 255).save("mask.png")
    masks = ("--mask", "mask.png", "--box", "0,20,2x2", "--colour", "#ff00ff", "--transparent", "--feather", 0)
    assert run("edit", "layer.png", "a fox", *masks, "--steps", 1, "-m", tiny, "-o", "out.png").code == 0
    outcome = run("verify", "out.png", "--against", "layer.png", "--json")
    found = json.loads(outcome.stdout)
    assert found["intact"]
    assert found["pixels"] - found["difference"]["pixels"] == 24 + 4 + 1 + 4
    assert open_source("out.png").samples.array[:2, :2, 3].min() == 255


def test_a_lossy_edit_reports_how_far_it_is(run: Run, tiny: Path, photo: Path) -> None:
    made = run("edit", photo, "a fox", "--box", "8,4,10x8", "--steps", 1, "-m", tiny, "-o", "out.jpg")
    assert made.code == 0
    assert "Note: " in made.stderr
    outcome = run("verify", "out.jpg", "--against", photo, "--json")
    found = json.loads(outcome.stdout)
    assert (outcome.code, found["lossy"], found["intact"]) == (0, True, False)
    assert 0 < found["difference"]["mean"] < 0.1


def test_a_sample_that_was_changed_later_is_found(run: Run, tiny: Path, photo: Path) -> None:
    assert run("edit", photo, "a fox", "--box", "8,4,10x8", "--steps", 1, "-m", tiny, "-o", "out.png").code == 0
    source = open_source("out.png")
    source.samples.array[23, 39, 1] ^= 1
    source.save("out.png")
    outcome = run("verify", "out.png", "--against", photo)
    assert outcome.code == 1
    assert "1 of them differ" in outcome.stderr


def test_several_edits_get_numbers_and_stripped_ones_say_nothing(run: Run, here: Path, tiny: Path, photo: Path) -> None:
    options = ("--strength", 0.5, "--steps", 2, "--strip", "-n", 2, "-m", tiny)
    assert run("edit", photo, "a fox", *options).code == 0
    assert sorted(path.name for path in here.glob("photo-*")) == ["photo-edit-1.png", "photo-edit-2.png"]
    assert open_source("photo-edit-1.png").text == {}
    sentence = run("verify", "photo-edit-1.png", "--against", photo).sentence
    assert sentence == (
        "Error: photo-edit-1.png carries no recipe of an edit; give a picture as `fictile edit` saved it."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--mask", "small.png"), "The mask is 3x2 and the picture 40x24; give a mask of its size."),
        (("--box", "1,2"), "'1,2' is not a box; write four whole numbers, such as 40,30,128x96."),
        (("--box", "50,0,3x3"), "holds no pixel of the picture, which is 40x24; give one inside it."),
        (("--colour", "pink"), "'pink' is no colour; write it as #RRGGBB, such as #ff00ff."),
        (("--outpaint", "1,1,1"), "'1,1,1' is not left, top, right and bottom; write four whole numbers"),
        (("--only-masked",), "there is no mask; give one."),
        (("--mask", "absent.png"), "absent.png"),
        (("-o", "nowhere/out.png"), "There is no folder nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    run: Run, here: Path, tiny: Path, photo: Path, options: tuple[str, ...], sentence: str
) -> None:
    Image.new("L", (3, 2), 255).save("small.png")
    before = sorted(here.iterdir())
    outcome = run("edit", photo, "a fox", "-m", tiny, *options)
    assert outcome.code == 2
    assert sentence in outcome.sentence
    assert sorted(here.iterdir()) == before


def test_another_input_is_told_from_the_true_one(run: Run, tiny: Path, photo: Path) -> None:
    assert run("edit", photo, "a fox", "--box", "8,4,10x8", "--steps", 1, "-m", tiny, "-o", "out.png").code == 0
    Image.new("RGB", (40, 24)).save("other.png")
    outcome = run("verify", "out.png", "--against", "other.png")
    assert (outcome.code, outcome.sentence) == (
        2,
        "Error: out.png was not made of other.png; give the picture that was edited.",
    )
