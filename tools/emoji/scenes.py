"""Scenes: which things stand together in one picture, in which colours and on which ground, and what is said of it.

The art holds few distinct things. A model that only saw them one by one learns them by heart; scenes show it that words
combine. Some combinations are held out: every part of them is seen in training, never the two together.
"""

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from captions import with_article
from compose import BACKGROUNDS, above, beside, holding, on_background, recoloured, wearing
from concepts import Emoji
from PIL import Image

Bond = frozenset[str]  # two things that meet in a picture: codes, "blue", "on blue"

PAIRS: Mapping[str, tuple[Callable[[Image.Image, Image.Image], Image.Image], tuple[str, ...]]] = {
    "beside": (beside, ("{} next to {}", "{} and {}", "{} beside {}")),
    "above": (above, ("{} on top of {}", "{} above {}")),
    "wearing": (wearing, ("{} wearing {}", "{} with {}")),
    "holding": (holding, ("{} holding {}", "{} with {}")),
}
"""How two things make one picture, and how that is said; the usual way first."""

HATS = ("1f451", "1f3a9", "1f393", "26d1", "1f9e2", "1f452")  # crown, top hat, graduation cap, helmet, cap, hat
HOLDERS = ("1f9f8", "1f427", "1f916", "26c4", "1f43c", "1f9a6", "1f9a5", "1f998", "1f47b", "1f99d")
HELD = (
    "1f388", "1f355", "1f354", "1f369", "1f36a", "1f34e", "1f34c", "1f352", "1f353", "1f366", "1f382", "1f37f", "1f381",
    "2764", "1f33c", "1f339", "1f337", "1f340", "1f4d6", "1f4f1", "1f511", "1f3b8", "1f3ba", "26bd", "1f3c0", "1f3c6",
    "2b50", "1f525", "2602", "1f4a1",
)  # fmt: skip

SHARES = {"beside": 0.36, "above": 0.12, "wearing": 0.1, "holding": 0.08, "colour": 0.2, "ground": 0.14}
"""Of the scenes that are drawn."""

COLOURED, GROUNDED = 0.2, 0.2  # part of the pairs whose first thing has another colour, and that stand on a ground


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One composed picture: one or two things, by code; the first may have another colour, all a plain ground."""

    things: tuple[str, ...]
    relation: str | None = None  # a key of `PAIRS`, for two things
    colour: str | None = None
    ground: str | None = None

    @property
    def bonds(self) -> frozenset[Bond]:
        """Everything that meets in it, for which it would be no surprise to a model that was trained on it."""
        first, *others = self.things
        found = {frozenset((first, other)) for other in others}
        if self.colour:
            found.add(frozenset((first, self.colour)))
        if self.ground:
            found |= {frozenset((thing, f"on {self.ground}")) for thing in self.things}
        return frozenset(found)

    @property
    def name(self) -> str:
        """A file name that tells scenes apart."""
        words = (self.relation, self.colour, *self.things, f"on-{self.ground}" if self.ground else None)
        return "_".join(word for word in words if word)


class Drawing(Protocol):
    """How a thing looks, by its code."""

    def __call__(self, code: str, /) -> Image.Image: ...


def draw_scene(scene: Scene, draw: Drawing) -> Image.Image:
    """The scene as RGBA."""
    first, *others = (draw(code) for code in scene.things)
    if scene.colour:
        first = recoloured(first, scene.colour)
    picture = PAIRS[scene.relation][0](first, *others) if scene.relation else first
    return on_background(picture, scene.ground) if scene.ground else picture


def scene_captions(scene: Scene, names: Mapping[str, str]) -> list[str]:
    """What may be said of a scene, the plainest sentence first; `names` are those of its things, by code."""
    first, *others = (names[code] for code in scene.things)
    told = [with_article(f"{scene.colour} {first}" if scene.colour else first)]
    if scene.relation:
        (other,) = others
        told = [words.format(told[0], with_article(other)) for words in PAIRS[scene.relation][1]]
    if not scene.ground:
        return told
    here = with_article(f"{scene.ground} background")
    return [f"{told[0]} on {here}", *(f"{text}, {scene.ground} background" for text in told)]


@dataclass(frozen=True, kw_only=True)
class Cast:
    """What scenes are made of: all codes are of things that training sees alone as well."""

    things: Sequence[str]
    heads: Sequence[str]  # those that may wear a hat
    hats: Sequence[str]
    holders: Sequence[str]
    held: Sequence[str]
    colours: Mapping[str, Sequence[str]]  # what each thing of one colour may be painted

    @property
    def kinds(self) -> dict[str, float]:
        """The kinds of scenes that this cast can play, with their shares."""
        few = {"beside": len(self.things) < 2, "above": len(self.things) < 2, "ground": not self.things}
        few |= {"wearing": not (self.heads and self.hats), "holding": not (self.holders and self.held)}
        few |= {"colour": not self.colours}
        return {kind: share for kind, share in SHARES.items() if not few[kind]}

    def scene(self, kind: str, chance: random.Random) -> Scene:
        """Any scene of a kind in `SHARES`."""
        if kind == "colour":
            thing = chance.choice(list(self.colours))
            return Scene(things=(thing,), colour=chance.choice(self.colours[thing]))
        if kind == "ground":
            return Scene(things=(chance.choice(self.things),), ground=chance.choice(list(BACKGROUNDS)))
        firsts, seconds = {"wearing": (self.heads, self.hats), "holding": (self.holders, self.held)}.get(
            kind, (self.things, self.things)
        )
        first = chance.choice(firsts)
        return Scene(things=(first, chance.choice([code for code in seconds if code != first])), relation=kind)


def cast_of(emoji: Iterable[Emoji], held_out: Collection[str], colours: Mapping[str, Sequence[str]]) -> Cast:
    """The cast out of all emoji: everyday things with a name that says no colour, none of a held-out concept.

    Args:
        colours: by code, what a thing may be painted, as `compose.colours_for` gives it; only what is in it takes part.
    """
    able = {
        one.code: one
        for one in emoji
        if one.code in colours and one.share == 1 and not one.tones and one.concept not in held_out
    }
    plain = [code for code, one in able.items() if not COLOUR_WORDS.intersection(one.names[0].split())]
    return Cast(
        things=plain,
        heads=[code for code in plain if able[code].head],
        hats=[code for code in HATS if code in plain],
        holders=[code for code in HOLDERS if code in plain],
        held=[code for code in HELD if code in plain],
        colours={code: colours[code] for code in plain if colours.get(code)},
    )


COLOUR_WORDS = frozenset((*BACKGROUNDS, "brown", "white", "colorful", "rainbow"))


def held_out_scenes(cast: Cast, counts: Mapping[str, int], seed: int) -> list[Scene]:
    """The scenes that training never sees, so many of each kind that the cast can play; no bond occurs twice."""
    chance, found, taken = random.Random(seed), list[Scene](), set[Bond]()
    for kind in cast.kinds:
        goal = len(found) + counts[kind]
        while len(found) < goal:
            scene = cast.scene(kind, chance)
            if taken.isdisjoint(scene.bonds):
                found.append(scene)
                taken |= scene.bonds
    return found


def training_scenes(cast: Cast, held_out: Iterable[Scene], count: int, seed: int) -> list[Scene]:
    """Different scenes for training, none with a bond of a held-out one; the kinds as `SHARES` says."""
    never = frozenset(bond for scene in held_out for bond in scene.bonds)
    chance, found = random.Random(seed), dict[Scene, None]()
    kinds, shares = list(cast.kinds), list(cast.kinds.values())
    while len(found) < count:
        (kind,) = chance.choices(kinds, shares)
        scene = cast.scene(kind, chance)
        if scene.relation:
            scene = _varied(scene, cast, chance)
        if never.isdisjoint(scene.bonds):
            found[scene] = None
    return list(found)


def _varied(pair: Scene, cast: Cast, chance: random.Random) -> Scene:
    """A pair, sometimes with its first thing in another colour, sometimes on a ground."""
    paints = cast.colours.get(pair.things[0])
    colour = chance.choice(paints) if paints and chance.random() < COLOURED else None
    ground = chance.choice(list(BACKGROUNDS)) if chance.random() < GROUNDED else None
    return Scene(things=pair.things, relation=pair.relation, colour=colour, ground=ground)
