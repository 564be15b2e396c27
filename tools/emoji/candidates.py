"""Which other scenes a drawn scene might be taken for: twenty candidates, of which it has to be the nearest to one."""

import random

from compose import BACKGROUNDS
from scenes import Cast, Scene

CANDIDATES = 20  # with the truth
TRIES = 1000  # draws of another one
SAME_THINGS = 4  # of them differ from the truth in nothing but a colour or the ground


def candidates(scene: Scene, cast: Cast, chance: random.Random) -> list[Scene]:
    """The scene itself, then others that share a part with it, all different; fewer where the cast is small."""
    found = dict.fromkeys([scene])
    painted = _painted(scene, cast)
    found |= dict.fromkeys(chance.sample(painted, min(SAME_THINGS, len(painted))))
    for _ in range(TRIES):
        if len(found) == CANDIDATES:
            break
        other = _relative(scene, cast, chance)
        if len(set(other.things)) == len(other.things):
            found[other] = None
    return list(found)


def _painted(scene: Scene, cast: Cast) -> list[Scene]:
    """The same things in other colours and on other grounds."""
    colours = cast.colours.get(scene.things[0], ()) if scene.colour or scene.relation else ()
    grounds = () if scene.colour else BACKGROUNDS
    return [
        *(
            Scene(things=scene.things, relation=scene.relation, colour=colour)
            for colour in colours
            if colour != scene.colour
        ),
        *(
            Scene(things=scene.things, relation=scene.relation, ground=ground)
            for ground in grounds
            if ground != scene.ground
        ),
    ]


def _relative(scene: Scene, cast: Cast, chance: random.Random) -> Scene:
    """A scene of the same kind that has one part of this one."""
    if scene.colour:
        able = [thing for thing, colours in cast.colours.items() if scene.colour in colours]
        return Scene(things=(chance.choice(able),), colour=scene.colour)
    if not scene.relation:
        return Scene(things=(chance.choice(cast.things),), ground=scene.ground)
    first, second = scene.things
    firsts = {"wearing": cast.heads, "holding": cast.holders}.get(scene.relation, cast.things)
    seconds = {"wearing": cast.hats, "holding": cast.held}.get(scene.relation, cast.things)
    pair = (first, chance.choice(seconds)) if chance.random() < 0.5 else (chance.choice(firsts), second)
    return Scene(things=pair, relation=scene.relation)
