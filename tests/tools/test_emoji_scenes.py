"""Composed pictures: what is done to the art, what is said of it, and what is held out."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from compose import BACKGROUNDS, HUES, above, beside, colours_for, holding, on_background, own_hue, recoloured, wearing
from concepts import Emoji
from PIL import Image, ImageDraw
from scenes import (
    HATS,
    HELD,
    HOLDERS,
    SHARES,
    Cast,
    Scene,
    cast_of,
    draw_scene,
    held_out_scenes,
    scene_captions,
    training_scenes,
)

SIDE = 64


def disc(*colours: str) -> Image.Image:
    """A thing in the middle of a frame; a second colour fills its right half."""
    picture = Image.new("RGBA", (SIDE, SIDE))
    for colour, start in zip(colours, (0, 270), strict=False):
        ImageDraw.Draw(picture).pieslice((16, 16, 47, 47), start, start + (360 if start == 0 else 180), fill=colour)
    return picture


def seen(picture: Image.Image) -> np.ndarray:
    """Where there is something."""
    return np.asarray(picture.getchannel("A")) > 128


@pytest.mark.parametrize(("colour", "hue"), [("#e02020", 0), ("#20c040", 132), ("#2040e0", 230), ("#f02040", 351)])
def test_a_thing_of_one_colour_has_a_hue_of_its_own(colour: str, hue: int) -> None:
    found = own_hue(disc(colour))
    assert found is not None
    assert abs((found - hue + 180) % 360 - 180) <= 2


@pytest.mark.parametrize("picture", [disc("#808080"), disc("#e02020", "#20d0d0"), Image.new("RGBA", (SIDE, SIDE))])
def test_grey_many_coloured_and_empty_pictures_have_none(picture: Image.Image) -> None:
    assert own_hue(picture) is None
    assert colours_for(picture) == []


def test_a_thing_is_offered_only_colours_that_it_does_not_have() -> None:
    offered = colours_for(disc("#2040e0"))
    assert "blue" not in offered
    assert {"red", "green", "grey"} <= set(offered)


@pytest.mark.parametrize("colour", HUES)
def test_a_recoloured_thing_has_the_hue_of_the_word_and_its_shape(colour: str) -> None:
    before = disc("#e07020")
    after = recoloured(before, colour)
    assert own_hue(after) == pytest.approx(HUES[colour], abs=3)
    assert (seen(after) == seen(before)).all()


def test_only_the_own_hue_changes() -> None:
    apple = disc("#e02020")
    ImageDraw.Draw(apple).rectangle((30, 16, 33, 20), fill="#20c040")
    blue = recoloured(apple, "blue")
    assert blue.getpixel((31, 18)) == pytest.approx(apple.getpixel((31, 18)), abs=1)
    assert blue.getpixel((32, 40))[2] > blue.getpixel((32, 40))[0]  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    red, green, blue_, _ = recoloured(apple, "grey").getpixel((32, 40))  # pyright: ignore[reportGeneralTypeIssues]
    assert red == green == blue_


def test_a_background_fills_the_frame_behind_the_thing() -> None:
    picture = on_background(disc("red"), "blue")
    assert picture.getpixel((0, 0)) == (*BACKGROUNDS["blue"], 255)
    assert picture.getpixel((32, 32)) == (255, 0, 0, 255)


def test_two_things_stand_where_the_words_say() -> None:
    red, blue = disc("red"), disc("blue")
    pixels = {draw: np.asarray(draw(red, blue)) for draw in (beside, above, wearing, holding)}

    def centre(draw: object, channel: int) -> np.ndarray:
        image = pixels[draw]  # pyright: ignore[reportArgumentType]
        mask = (image[..., 3] > 128) & (image[..., channel] > 128)
        return np.argwhere(mask).mean(axis=0)

    (red_y, red_x), (blue_y, blue_x) = centre(beside, 0), centre(beside, 2)
    assert red_x < SIDE / 2 < blue_x
    assert red_y == pytest.approx(blue_y, abs=1)
    assert centre(above, 0)[0] < SIDE / 2 < centre(above, 2)[0]
    assert centre(wearing, 2)[0] < centre(wearing, 0)[0]  # the hat above the head
    assert (centre(holding, 2) > centre(holding, 0)).all()  # the held thing at the lower right
    for image in pixels.values():
        assert image.shape == (SIDE, SIDE, 4)
        assert not image[0, :, 3].any()  # nothing is cut off at the top


def emoji(code: str, name: str, **more: object) -> Emoji:
    return Emoji(code=code, concept=code, names=(name,), **more)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def cast() -> Cast:
    codes = [*HATS, *HOLDERS, *HELD, *(f"a{number}" for number in range(40))]
    known = [emoji(code, f"thing {code}", head=code.startswith("a")) for code in dict.fromkeys(codes)]
    return cast_of(known, {HATS[0]}, {one.code: ["blue", "green"] for one in known})


def test_the_cast_leaves_out_what_training_does_not_see_alone() -> None:
    known = [
        emoji("a", "fox", head=True),
        emoji("b", "blue book"),
        emoji("c", "stop sign", share=0.25),
        emoji("d", "held out"),
        emoji("e", "not drawn"),
        emoji("f", "hand", tones=(1,)),
    ]
    cast = cast_of(known, {"d"}, {"a": ["blue"], "b": [], "c": [], "d": [], "f": []})
    assert (cast.things, cast.heads, dict(cast.colours)) == (["a"], ["a"], {"a": ["blue"]})
    assert set(cast.kinds) == {"colour", "ground"}


def test_words_say_what_is_drawn() -> None:
    names = {"a": "fox", "b": "apple"}
    assert scene_captions(Scene(things=("a", "b"), relation="beside"), names)[0] == "a fox next to an apple"
    assert scene_captions(Scene(things=("a",), colour="orange"), names) == ["an orange fox"]
    assert scene_captions(Scene(things=("a",), ground="blue"), names)[0] == "a fox on a blue background"
    told = scene_captions(Scene(things=("a", "b"), relation="wearing", colour="blue", ground="red"), names)
    assert told[0] == "a blue fox wearing an apple on a red background"
    assert len(told) == len(set(told))


def test_a_scene_is_drawn_from_its_parts() -> None:
    scene = Scene(things=("a", "b"), relation="beside", colour="blue", ground="yellow")
    pixels = np.asarray(draw_scene(scene, lambda code: disc("#e02020" if code == "a" else "#20c040")))
    assert tuple(pixels[0, 0, :3]) == BACKGROUNDS["yellow"]
    assert pixels[:, : SIDE // 2, 2].max() > 200 > pixels[:, SIDE // 2 :, 2].max()  # only the first thing is blue


def bonds(scenes: Sequence[Scene]) -> set[frozenset[str]]:
    return {bond for scene in scenes for bond in scene.bonds}


def test_nothing_that_is_held_out_meets_in_training(cast: Cast) -> None:
    held_out = held_out_scenes(cast, dict.fromkeys(SHARES, 5), seed=0)
    assert len(held_out) == len(bonds(held_out)) == 30  # one bond each, none twice
    training = training_scenes(cast, held_out, 1500, seed=0)
    assert len({scene.name for scene in training}) == 1500
    assert bonds(training).isdisjoint(bonds(held_out))
    assert {scene.relation for scene in training} == {None, "beside", "above", "wearing", "holding"}
    assert any(scene.colour and scene.relation and scene.ground for scene in training)


def test_the_order_of_two_things_does_not_make_another_pair() -> None:
    pair = Scene(things=("a", "b"), relation="beside")
    assert pair.bonds == Scene(things=("b", "a"), relation="above").bonds


def test_scenes_depend_on_the_seed_alone(cast: Cast) -> None:
    held_out = held_out_scenes(cast, dict.fromkeys(SHARES, 2), seed=3)
    assert held_out == held_out_scenes(cast, dict.fromkeys(SHARES, 2), seed=3)
    assert training_scenes(cast, held_out, 50, seed=1) == training_scenes(cast, held_out, 50, seed=1)
    assert training_scenes(cast, held_out, 50, seed=1) != training_scenes(cast, held_out, 50, seed=2)
    assert cast.scene("wearing", random.Random(0)).things[1] in HATS[1:]  # the first is held out
