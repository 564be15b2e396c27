"""Captions in plain English: what a person would type to get an emoji, made from its official label and keywords."""

import re
from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLAIN_STYLE = "3d"  # what is drawn when nobody names a style

TONES = {1: "light", 2: "medium-light", 3: "medium", 4: "medium-dark", 5: "dark"}

_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[“”!]", ""),
        ("\u2019", "'"),  # the typographic apostrophe
        (r"^(person|man|woman): bald$", r"bald \1"),
        (r"^(person|man|woman): beard$", r"\1 with a beard"),
        (r"^(person|man|woman): (.+ hair)$", r"\1 with \2"),
        (r"^keycap: #$", "keycap hash"),
        (r"^keycap: \*$", "keycap asterisk"),
        (r"^keycap: ", "keycap "),
        (r": facing right$", " facing right"),
        (r"^(.+) \((.+)\)$", r"\2 \1"),
        (r"^(.+(?:o'clock|-thirty))$", r"clock at \1"),
        (r": ", ", "),
    )
)

# The head of "glass of milk" is the word before one of these.
_AFTER_HEAD = _words("and at behind from facing in not of on over showing up down tilted to with without")
_PLURAL_PEOPLE = _words("men women people busts")
_PLURALS_WITHOUT_S = _words("clothes dice lips")
_SINGULARS_WITH_S = _words("customs gas lens rhinoceros tennis")
_UNCOUNTED = _words(
    "away bacon badminton bowling bread breast-feeding broccoli butter camping cheese chocolate claus construction "
    "cooking corn dizzy dna fog foggy food fuji garlic ginger hockey honey ice karate lacrosse laughing lightning "
    "liquid locked luggage mate milk money oden pasta polo pong popcorn racing ramen rice sake salt soap spaghetti "
    "star-struck sushi tea tennis unlocked wine wood yarn zzz"
)
_UNIQUE = frozenset(("earth", "eiffel tower", "kaaba", "milky way", "statue of liberty", "tokyo tower"))
_VOWEL_SOUND = re.compile(r"(?!uni|use|euro|ewe|uke|ufo|one\b)[aeiou]|hour|x-|sos\b|ng\b|suv\b")

_SIGN_NOUNS = _words(
    "arrow arrows asterisk badge bars box button circle cross dash diamond emblem loop mark sign square star "
    "symbol triangle keycap"
)

_SAID_BY_THE_LABEL = _words("adult boy female girl guy human lady male man men people person woman women")
_NOT_DRAWN = _words(
    "adorbs af ass bae bff bff's bro bruh bs dope dunno emoji fml fleek geez gtg homie idk ily jel jelly lit lmao lol "
    "meh muah nature omg omw photo pissed rad rofl roflmao sexy shade slay smh swag tale th triste ttfn ttyl turd ugh "
    "ui um whatever wtv xoxo yolo you"
)


def name_of(label: str) -> str:
    """The label as a person would write it: ``"woman: beard"`` becomes ``"woman with a beard"``."""
    name = label.lower()
    for pattern, replacement in _REWRITES:
        name = pattern.sub(replacement, name)
    return name


def sign_name(name: str) -> str:
    """The name of a picture that is a sign rather than a thing: ``"no smoking"`` becomes ``"no smoking sign"``."""
    return name if _SIGN_NOUNS.intersection(name.split()) else f"{name} sign"


def with_article(name: str) -> str:
    """The name with "a", "an" or "the" before it, or as it is where English puts nothing (plurals, bread, money)."""
    if name in _UNIQUE:
        return f"the {name}"
    first, head = name.split(maxsplit=1)[0], _head(name)
    plural = head.endswith("s") and not head.endswith(("ss", "us", "wards", "'s")) and head not in _SINGULARS_WITH_S
    if plural or head in _PLURALS_WITHOUT_S | _UNCOUNTED or first in _PLURAL_PEOPLE:
        return name
    return f"an {name}" if _VOWEL_SOUND.match(name) else f"a {name}"


def _head(name: str) -> str:
    """The noun that a name is about: "glass" in "glass of milk", "person" in "person lifting weights"."""
    words = name.replace(",", " and").split()
    for place, word in enumerate(words[1:], start=1):
        if word in _AFTER_HEAD or (word.endswith("ing") and place + 1 < len(words)):
            return words[place - 1]
    return words[-1]


def with_tones(name: str, tones: Sequence[int]) -> str:
    """The name with its skin tones in words: tones (1, 5) give ``"... with light and dark skin tones"``."""
    if not tones:
        return name
    words = list(dict.fromkeys(TONES[tone] for tone in tones))
    joint = "and" if " with " in name else "with"
    return f"{name} {joint} {' and '.join(words)} skin tone{'s' if len(words) > 1 else ''}"


def clean_keywords(name: str, *sources: Sequence[str], limit: int = 5) -> tuple[str, ...]:
    """Up to ``limit`` keywords that add to the name; those that most sources agree on come first.

    Left out: what the name says already, slang, numbers and signs, and words of sex and age (the name tells them).
    """
    said = set(re.split(r"[ -]", name))
    votes: dict[str, int] = {}
    for source in sources:
        for keyword in dict.fromkeys(word.lower().replace("_", " ") for word in source):
            words = set(keyword.split())
            readable = re.fullmatch(r"[a-zà-ÿ]{3,}( [a-zà-ÿ]+)?", keyword)
            if readable and not words & (said | _SAID_BY_THE_LABEL | _NOT_DRAWN):
                votes[keyword] = votes.get(keyword, 0) + 1
    return tuple(sorted(votes, key=lambda word: -votes[word])[:limit])


def captions(names: Sequence[str], keywords: Sequence[str], tones: Sequence[int], style: str) -> list[str]:
    """Every caption of one picture, the main one first, none twice.

    Args:
        names: what it may be called, the most common name first.
        keywords: more words for it, as `clean_keywords` gives them.
        tones: the skin tones in the picture, 1 (light) to 5 (dark); empty for the yellow default.
        style: the style of drawing in words. `PLAIN_STYLE` need not be said, any other is part of every caption.
    """
    toned = [with_tones(name, tones) for name in names]
    found = [caption for name in toned for caption in (with_article(name), name)]
    if keywords:
        found.append(", ".join((toned[0], *keywords[:2])))
    if len(keywords) > 2:
        found.append(", ".join((toned[0], *keywords)))
    if style == PLAIN_STYLE:
        return list(dict.fromkeys((*found, f"{found[0]}, {style} style")))
    return list(
        dict.fromkeys(
            (
                f"{found[0]}, {style} style",
                *(f"{style} {name}" for name in toned),
                *(f"{caption}, {style} style" for caption in found),
            )
        )
    )
