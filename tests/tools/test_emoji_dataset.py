"""The pure parts of the emoji data set: names, captions, hold-out, compositing and icon sets."""

import io
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "emoji"))

from build_dataset import build, draw_once, read_table, write_metadata
from captions import captions, clean_keywords, name_of, sign_name, with_article, with_tones
from concepts import Emoji, code_of, is_held_out, normal_code, read_emoji, weights
from notices import notices
from packages import Package
from pictures import Files, Icons, over_white

from fictile.errors import FictileError, RequestError

EMOJI = Path(__file__).parents[2] / "tools" / "emoji"


def entry(label: str, code: str, *tags: str, group: int = 3, **more: Any) -> dict[str, Any]:
    return {"label": label, "hexcode": code, "tags": list(tags), "group": group, "subgroup": 0, "order": 1, **more}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("fox", "fox"),
        ("woman: beard", "woman with a beard"),
        ("man: bald", "bald man"),
        ("person: red hair", "person with red hair"),
        ("one o\u2019clock", "clock at one o'clock"),
        ("keycap: #", "keycap hash"),
        ("A button (blood type)", "blood type a button"),
        ("Japanese “bargain” button", "japanese bargain button"),
        ("man walking: facing right", "man walking facing right"),
    ],
)
def test_a_label_becomes_a_name_in_plain_english(label: str, name: str):
    assert name_of(label) == name


@pytest.mark.parametrize(
    "expected",
    [
        "a fox",
        "an octopus",
        "a unicorn",
        "an hourglass",
        "an x-ray",
        "grapes",
        "bread",
        "a glass of milk",
        "a loaf of bread",
        "a bus",
        "a person lifting weights",
        "women wrestling",
        "clapping hands",
        "a bow and arrow",
        "the milky way",
        "a man's shoe",
    ],
)
def test_the_article_follows_the_head_of_the_name(expected: str):
    bare = expected.removeprefix("a ").removeprefix("an ").removeprefix("the ")
    assert with_article(bare) == expected


def test_a_sign_is_called_one():
    assert sign_name("no smoking") == "no smoking sign"
    assert sign_name("up arrow") == "up arrow"


def test_tones_are_told_in_words():
    assert with_tones("waving hand", ()) == "waving hand"
    assert with_tones("waving hand", (1,)) == "waving hand with light skin tone"
    assert with_tones("man with red hair", (5,)) == "man with red hair and dark skin tone"
    assert with_tones("people holding hands", (1, 4)) == "people holding hands with light and medium-dark skin tones"


def test_keywords_that_both_sources_know_come_first_and_noise_is_dropped():
    found = clean_keywords(
        "fox", ["animal", "lol", "143", "fox", "sly"], ["wild", "animal", "nature", "fox_den", ":)", "man"]
    )
    assert found == ("animal", "sly", "wild")


def test_captions_begin_with_the_article_and_never_repeat():
    found = captions(["fox", "fox face"], ["animal", "orange"], (), "3d")
    assert found == ["a fox", "fox", "a fox face", "fox face", "fox, animal, orange", "a fox, 3d style"]


def test_every_style_but_the_usual_one_is_part_of_every_caption():
    found = captions(["fox", "fox face"], ["animal", "orange", "sly"], (), "flat")
    assert found[:2] == ["a fox, flat style", "flat fox"]
    assert all("flat" in caption for caption in found)
    assert len(found) == len(set(found))


def test_codes_are_compared_without_the_variation_selector():
    assert normal_code("2764-FE0F-200D-1F525") == "2764-200d-1f525"
    assert code_of("❤️") == "2764"


def test_the_hold_out_is_a_fixed_hash_of_the_concept():
    codes = [f"{number:x}" for number in range(20_000)]
    held = [code for code in codes if is_held_out(code)]
    assert 0.045 < len(held) / len(codes) < 0.055
    assert held == [code for code in codes if is_held_out(code)]
    assert not is_held_out(held[0], exempt={held[0]})


def test_the_committed_list_is_what_the_hash_says_and_spares_everyday_words():
    everyday = {code for codes in read_table(EMOJI / "everyday.txt").values() for code in codes}
    held_out = read_table(EMOJI / "heldout.txt")
    assert len(everyday) == 16
    assert all(is_held_out(concept, everyday) for concept in held_out)


def test_all_tones_of_a_concept_share_one_small_weight():
    fox = Emoji(code="1f98a", concept="1f98a", names=("fox",))
    hand = Emoji(code="1f44b", concept="1f44b", names=("waving hand",))
    toned = [Emoji(code=f"1f44b-{n}", concept="1f44b", names=("waving hand",), tones=(n,)) for n in range(1, 6)]
    found = weights([fox, hand, *toned])
    assert found["1f98a"] == found["1f44b"] == 1.0
    assert all(found[one.code] == pytest.approx(0.04) for one in toned)


def test_reading_leaves_out_flags_and_keeps_tones():
    skins = [{"hexcode": "1F48F-1F3FB", "tone": 1}, {"hexcode": "A-B", "tone": [1, 2]}]
    entries = [
        entry("fox", "1F98A", "animal", "face"),
        entry("cat", "1F408", "face"),
        entry("cat face", "1F431", "face"),
        entry("flag: Norway", "1F1F3-1F1F4", group=9),
        entry("kiss", "1F48F", group=1, skins=skins),
        entry("automobile", "1F697", group=5),
    ]
    found = read_emoji(entries, {"🦊": ["fox", "sly"]}, {"1f697": ["car"]}, {"1f98a": ["reynard"]})
    assert set(found) == {"1f98a", "1f408", "1f431", "1f48f", "1f48f-1f3fb", "a-b", "1f697"}
    assert found["1f98a"].names == ("fox", "fox face", "reynard")
    assert found["1f98a"].keywords == ("animal", "sly")
    assert found["1f408"].names == ("cat",)
    assert [found[code].head for code in ("1f98a", "1f431", "1f697")] == [True, True, False]
    assert found["1f697"].names == ("car", "automobile")
    assert (found["a-b"].concept, found["a-b"].tones) == ("1f48f", (1, 2))


def test_what_has_a_left_and_a_right_is_not_mirrored():
    labels = {"a": "fox", "b": "alarm clock", "c": "backhand index pointing right", "d": "newspaper"}
    found = read_emoji([entry(label, code) for code, label in labels.items()], {}, {}, {})
    assert [found[code].mirrors for code in labels] == [True, False, False, False]


def test_transparent_black_leaves_no_dark_fringe_when_a_picture_shrinks():
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, 33:] = (255, 200, 0, 255)
    flat = np.asarray(over_white(Image.fromarray(rgba), 16))
    assert flat.shape == (16, 16, 3)
    assert flat[..., 0].min() >= 254
    assert (flat[0, 0] == 255).all()
    assert tuple(flat[0, -1]) == (255, 200, 0)


def test_half_transparent_colour_is_mixed_with_white():
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    assert over_white(picture, 8).getpixel((3, 3)) == (255, 127, 127)


def icon_set() -> Icons:
    body = '<path fill="#f00" d="M0 0h16v32H0z"/>'
    icons = {
        "width": 32,
        "height": 32,
        "icons": {"left": {"body": body}},
        "aliases": {"right": {"parent": "left", "hFlip": True}, "again": {"parent": "right"}},
    }
    return Icons(icons, {"261c": "left", "261e-fe0f": "again"})


def test_an_icon_is_a_whole_svg_and_an_alias_mirrors_its_parent():
    art = icon_set()
    assert art.codes == {"261c", "261e"}
    assert 'viewBox="0 0 32 32"' in art.svg("261c")
    assert '<g transform="translate(32 0) scale(-1 1)">' in art.svg("261e")


def test_icons_are_drawn_at_the_size_asked_for():
    pytest.importorskip("resvg_py")
    left, right = (icon_set().draw(code, 64) for code in ("261c", "261e"))
    assert left.size == right.size == (64, 64)
    assert left.getpixel((10, 10)) == right.getpixel((50, 10)) == (255, 0, 0, 255)
    assert over_white(right, 64).getpixel((10, 10)) == (255, 255, 255)


def test_a_finished_picture_is_not_drawn_again(tmp_path: Path):
    stored = io.BytesIO()
    Image.new("RGBA", (16, 16), "red").save(stored, format="PNG")
    art = Files({"1f98a-fe0f": stored.getvalue()})
    path = tmp_path / "train" / "fox.png"
    draw_once(partial(art.draw, "1f98a", 16), 16, path)
    before = path.stat().st_mtime_ns
    draw_once(partial(art.draw, "1f98a", 16), 16, path)
    assert path.stat().st_mtime_ns == before
    draw_once(partial(art.draw, "1f98a", 8), 8, path)
    with Image.open(path) as picture:
        assert (picture.size, picture.mode) == ((8, 8), "RGB")
    assert [one.name for one in path.parent.iterdir()] == ["fox.png"]


def test_only_pictures_of_an_earlier_build_are_removed(tmp_path: Path):
    for name in ("old.png", "kept.png", "foreign.png"):
        (tmp_path / name).touch()
    write_metadata(tmp_path, [{"file_name": "old.png"}, {"file_name": "kept.png"}])
    write_metadata(tmp_path, [{"file_name": "kept.png"}])
    assert {path.name for path in tmp_path.glob("*.png")} == {"kept.png", "foreign.png"}
    assert json.loads((tmp_path / "metadata.jsonl").read_text()) == {"file_name": "kept.png"}


def test_the_notices_name_every_licence_used():
    assert "Microsoft" in notices(["3d"])
    assert "Twemoji" not in notices(["3d"])
    assert notices(["3d", "flat"]).count("Microsoft Corporation") == 1
    assert all(word in notices(["noto", "twemoji"]) for word in ("Apache License", "CC-BY 4.0", "emojilib"))


def test_mistakes_are_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(RequestError, match='no style "4d": choose from 3d, flat, noto, twemoji'):
        build(tmp_path, 16, ["4d"], tmp_path)
    package = Package("@nobody/nothing", "1.0.0", "0" * 64)
    monkeypatch.setattr("shutil.which", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(RequestError, match="npm was not found"):
        package.fetch(tmp_path)
    (tmp_path / package.archive).write_bytes(b"another one")
    with pytest.raises(FictileError, match=r"is not the pinned @nobody/nothing 1\.0\.0"):
        package.fetch(tmp_path)
