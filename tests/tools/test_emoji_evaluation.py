"""What the evaluation of the packaged model measures with."""

import random
from pathlib import Path

import pytest
import torch
from candidates import CANDIDATES, candidates
from evaluate import Example, Row, asked, read_examples, table
from measures import Kept, augmented, distances, frechet, nearest, overlap, share
from scenes import Cast, Scene

CAST = Cast(
    things=[f"a{number}" for number in range(30)],
    heads=[f"a{number}" for number in range(12)],
    hats=["h1", "h2", "h3"],
    holders=["a0", "a1"],
    held=[f"a{number}" for number in range(20, 30)],
    colours={f"a{number}": ["blue", "red", "green", "pink", "grey"] for number in range(30)},
)


def test_the_frechet_distance_of_normal_sets_is_the_known_one() -> None:
    """Two normal distributions with diagonal covariances: |m - n|^2 + sum (s - t)^2."""
    random_ = torch.Generator().manual_seed(0)
    one = torch.randn(40_000, 3, generator=random_) * torch.tensor([1.0, 2.0, 0.5])
    other = torch.randn(40_000, 3, generator=random_) * torch.tensor([2.0, 2.0, 1.0]) + torch.tensor([1.0, 0.0, 0.0])
    assert frechet(one, other) == pytest.approx(1000 * (1 + 1 + 0.25), rel=0.03)


def test_the_frechet_distance_stands_few_pictures_of_many_features() -> None:
    features = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
    assert frechet(features, features) == pytest.approx(0, abs=1e-3)
    assert frechet(features, features + 1) == pytest.approx(20_000, rel=1e-3)


def test_features_are_computed_once_for_the_same_thing(tmp_path: Path) -> None:
    calls, kept = list[str](), Kept(tmp_path / "features")

    def computed(name: str) -> torch.Tensor:
        calls.append(name)
        return torch.full((2, 3), float(len(calls)))

    first = kept([("a.png", 7)], lambda: computed("a"))
    again = Kept(tmp_path / "features")([("a.png", 7)], lambda: computed("a"))
    other = kept([("a.png", 8)], lambda: computed("b"))
    assert calls == ["a", "b"]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_most_of_what_is_asked_for_is_in_the_plain_style() -> None:
    train = [
        Example(path=Path(f"{n}"), prompt=f"{n}", concept=f"{n}", style=style, weight=weight, scene=None)
        for style, weight in (("3d", 1.0), ("3d", 0.2), ("noto", 0.25), ("noto", 0.05))
        for n in range(40)
    ]
    found = asked(train, 30)
    assert len(found) == 30
    assert [one.style for one in found].count("noto") == 3
    assert {one.weight for one in found} == {1.0, 0.25}


def test_the_nearest_is_found_with_its_distance() -> None:
    known = torch.eye(3)
    query = torch.nn.functional.normalize(torch.tensor([[0.1, 1.0, 0.0]]))
    assert nearest(query, known).tolist() == [1]
    assert distances(query, known).item() == pytest.approx((query - known[1]).norm().item())


def test_an_augmentation_changes_a_picture_a_little_and_brings_in_white() -> None:
    picture = torch.ones(3, 64, 64)
    picture[:, 20:44, 20:44] = -1
    changed = augmented(picture, torch.Generator().manual_seed(0))
    assert not torch.equal(changed, picture)
    assert overlap(changed, picture) > 0.6
    assert (changed[:, 0, 0] > 0.8).all()
    assert overlap(picture, picture) == 1
    assert share([True, False, False, True]) == 0.5


@pytest.mark.parametrize(
    "scene",
    [
        Scene(things=("a1", "a2"), relation="beside"),
        Scene(things=("a1", "h1"), relation="wearing"),
        Scene(things=("a1", "a21"), relation="holding"),
        Scene(things=("a1",), colour="blue"),
        Scene(things=("a1",), ground="yellow"),
    ],
)
def test_a_scene_stands_among_others_that_share_a_part_with_it(scene: Scene) -> None:
    found = candidates(scene, CAST, random.Random(0))
    assert found[0] == scene
    assert len(set(found)) == len(found)
    painted = [other for other in found[1:] if other.things == scene.things]
    assert len(painted) == 4  # the same things in another colour or on another ground
    related = [other for other in found[1:] if other not in painted]
    assert len(related) >= 10
    assert len(found) <= CANDIDATES
    for other in related:
        assert set(other.things) & set(scene.things) or (other.colour, other.ground) == (scene.colour, scene.ground)


def test_the_table_says_percent_where_it_means_it() -> None:
    lines = table([Row(what="share", value=0.5, unit="%", goal="85 %"), Row(what="time", value=1.25, unit="s")])
    assert lines.splitlines()[2:] == ["| share | 50.0 % | 85 % |  |", "| time | 1.25 s |  |  |"]


def test_a_folder_without_pictures_has_no_examples(tmp_path: Path) -> None:
    assert read_examples(tmp_path) == []
