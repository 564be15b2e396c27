"""The names of results."""

from pathlib import Path

import pytest

from fictile.cli.destination import destinations, slug


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a fox", "a-fox"),
        ("A fox, wearing a crown!", "a-fox-wearing-a-crown"),
        ("ein Fuchs mit Hörnern", "ein-fuchs-mit-hörnern"),
        ("../../etc/passwd", "etc-passwd"),
        ("!?", "picture"),
        ("very " * 40, "very-very-very-very-very-very-very-very-very-ver"),
    ],
)
def test_a_prompt_becomes_a_file_name(prompt: str, name: str) -> None:
    assert slug(prompt) == name


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_name_for_one_result_is_taken_as_it_is(here: Path) -> None:
    (here / "fox.png").touch()
    assert destinations(Path("fox.png"), "ignored", ".png") == [Path("fox.png")]


def test_a_name_for_several_results_is_numbered_and_keeps_its_extension(here: Path) -> None:
    assert names(destinations(here / "red.fox.jpg", "ignored", ".png", 3)) == [
        "red.fox-1.jpg",
        "red.fox-2.jpg",
        "red.fox-3.jpg",
    ]


def test_without_a_name_nothing_is_replaced(here: Path) -> None:
    assert names(destinations(None, "fox", ".png")) == ["fox.png"]
    (here / "fox.png").touch()
    assert names(destinations(None, "fox", ".png")) == ["fox-1.png"]
    (here / "fox-2.png").touch()
    assert names(destinations(None, "fox", ".png", 2)) == ["fox-3.png", "fox-4.png"]


def test_a_free_name_is_free_for_the_file_beside_it_too(here: Path) -> None:
    (here / "fox.json").touch()
    (here / "fox-1.png").touch()
    assert names(destinations(None, "fox", ".png", beside=".json")) == ["fox-2.png"]
    assert destinations(Path("fox.png"), "ignored", ".png", beside=".json") == [Path("fox.png")]


def test_a_folder_is_filled_with_free_names(here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "fox.latent.safetensors").touch()
    assert destinations(Path("out"), "fox", ".latent.safetensors") == [Path("out/fox-1.latent.safetensors")]
