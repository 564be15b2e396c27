"""What the emoji are: code points, names, skin tones, and which whole concepts training never sees."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from captions import clean_keywords, name_of, sign_name

HELD_OUT_SHARE = 0.05
TONE_SHARE = 0.2  # all skin tones of a concept together weigh this much beside its default picture
SIGN_SHARE = 0.25  # arrows, letters in boxes, clock faces and their like, beside a thing that people ask for
GENDER_SHARE = 0.4  # one of the man, the woman and the person that wear the same clothes

_FACES, _PEOPLE, _COMPONENTS, _ANIMALS, _SYMBOLS, _FLAGS = 0, 1, 2, 3, 8, 9  # groups of emojibase
_NO_HEAD = re.compile(r"hat|party|halo|horns|head|monkey|upside|melting|nose|whale")  # or one with something on it
_ONE_WAY = re.compile(  # names of things with writing, hands of a clock, or a left and a right
    r"\b(left|right|clock|watch|stopwatch|calendar|keyboard|music\w*|sign|button|tickets?|newspaper|input|dice?|cards?|"
    r"yen|dollar|euro|pound|money|banknote|chart|receipt|letters?|label|abacus|stop|sos|medal|joker|scroll|book\w*|"
    r"computer|printer|fax|calculator|hindu|atm|top|end|soon|back|on!|keycap|ballot|magnifying)\b"
)
_CLOCK_FACE = re.compile("1f55[0-9a-f]|1f56[0-7]")  # one for each half hour
_RELIGION = 86  # a subgroup of the symbols whose members are things, not signs


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """One emoji in one skin tone.

    Attributes:
        code: its code points, lower case, joined by "-", without the variation selector fe0f.
        concept: the code of the same emoji without skin tone.
        names: what a person may call it, the most common name first; the skin tone is not part of them.
        keywords: more words for it.
        tones: its skin tones, 1 (light) to 5 (dark), one per person; empty for the yellow default.
        share: how often its concept is drawn in training, beside an everyday thing.
        head: whether it is a bare head, of an animal or a yellow face, that may wear a hat.
        mirrors: whether it may be seen mirrored: it has no writing, no hands of a clock, no left and right.
    """

    code: str
    concept: str
    names: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    tones: tuple[int, ...] = field(default=())
    share: float = 1.0
    head: bool = False
    mirrors: bool = True


def normal_code(code: str) -> str:
    """Code points as every package can be asked for them: lower case, without the variation selector fe0f."""
    return "-".join(point for point in code.lower().split("-") if point != "fe0f")


def code_of(text: str) -> str:
    """The normal code of a string that is one emoji."""
    return normal_code("-".join(f"{ord(character):04x}" for character in text))


def is_held_out(concept: str, exempt: Collection[str] = (), share: float = HELD_OUT_SHARE) -> bool:
    """Whether training never sees this concept: a hash of its code points decides, so that it stays so for ever."""
    digest = hashlib.sha256(concept.encode()).digest()
    return concept not in exempt and int.from_bytes(digest[:8], "big") < share * 2**64


def weights(emoji: Iterable[Emoji]) -> dict[str, float]:
    """How often each picture is drawn in training, by code: its concept's share, of tones `TONE_SHARE` of it in all."""
    known = list(emoji)
    tones: dict[str, int] = {}
    for one in known:
        tones[one.concept] = tones.get(one.concept, 0) + bool(one.tones)
    return {one.code: round(one.share * (TONE_SHARE / tones[one.concept] if one.tones else 1.0), 4) for one in known}


def read_emoji(
    entries: Sequence[Mapping[str, Any]],
    words: Mapping[str, Sequence[str]],
    first_names: Mapping[str, Sequence[str]],
    nicknames: Mapping[str, Sequence[str]],
) -> dict[str, Emoji]:
    """Every emoji but the flags, by code, in the order of the standard.

    Args:
        entries: the ``data.json`` of emojibase-data.
        words: keywords by emoji, as emojilib has them.
        first_names: by code, names that come before the official one.
        nicknames: by code, names that come after it.
    """
    words = {code_of(text): found for text, found in words.items()}
    named = [entry for entry in entries if entry.get("group", _FLAGS) not in (_COMPONENTS, _FLAGS)]
    labels = {entry["label"].lower() for entry in named}
    found: dict[str, Emoji] = {}
    for entry in sorted(named, key=lambda entry: entry["order"]):
        concept = normal_code(entry["hexcode"])
        own = [*first_names.get(concept, ()), *_names(entry, labels), *nicknames.get(concept, ())]
        names = tuple(dict.fromkeys(own))
        keywords = clean_keywords(" ".join(names), entry["tags"], words.get(concept, ()))
        share, head, mirrors = _share(entry, concept), _is_head(entry, names[0]), _mirrors(entry)
        found[concept] = Emoji(
            code=concept, concept=concept, names=names, keywords=keywords, share=share, head=head, mirrors=mirrors
        )
        for skin in entry.get("skins", ()):
            code, tone = normal_code(skin["hexcode"]), skin["tone"]
            tones = tuple(tone) if isinstance(tone, list) else (tone,)
            found[code] = replace(found[concept], code=code, tones=tones)
    return found


def _share(entry: Mapping[str, Any], concept: str) -> float:
    """How often a concept is drawn: less where it is a sign, a clock face, or a man or a woman beside the person."""
    symbol = entry["group"] == _SYMBOLS and entry["subgroup"] != _RELIGION
    if symbol or _CLOCK_FACE.fullmatch(concept):
        return SIGN_SHARE
    gendered = concept.startswith(("1f468-200d", "1f469-200d", "1f9d1-200d")) or concept.endswith(("-2640", "-2642"))
    return GENDER_SHARE if entry["group"] == _PEOPLE and gendered else 1.0


def _is_head(entry: Mapping[str, Any], name: str) -> bool:
    """Whether an emoji is a bare head: an animal's, or a yellow face with nothing on it."""
    animal = entry["group"] == _ANIMALS and "face" in entry["tags"]
    face = entry["group"] == _FACES and name.endswith("face")
    return (animal or face) and not _NO_HEAD.search(name)


def _mirrors(entry: Mapping[str, Any]) -> bool:
    """Whether an emoji may be seen mirrored."""
    return entry["group"] != _SYMBOLS and not _ONE_WAY.search(entry["label"].lower())


def _names(entry: Mapping[str, Any], labels: Collection[str]) -> list[str]:
    """The official name; "fox face" too, where the animal is only a head and no other emoji has that name."""
    name = name_of(entry["label"])
    if entry["group"] == _SYMBOLS and entry["subgroup"] != _RELIGION:
        return list(dict.fromkeys((sign_name(name), name)))
    head_only = entry["group"] == _ANIMALS and "face" in entry["tags"] and " " not in name
    return [name, f"{name} face"] if head_only and f"{name} face" not in labels else [name]
