"""A data set of discs, so that no package has to be fetched."""

from pathlib import Path

import build_dataset
import evaluate
import pytest
from concepts import Emoji, is_held_out
from PIL import Image, ImageDraw

COLOURS = ("#d03020", "#20a040", "#2040d0", "#d0a020")
CODES = [f"{number:x}" for number in range(0x1F366, 0x1F37E)]


class Discs:
    """Art without a package: every thing is a disc of some size and colour."""

    codes = frozenset(CODES)

    def draw(self, code: str, size: int) -> Image.Image:
        number, picture = int(code, 16), Image.new("RGBA", (size, size))
        radius = size * (5 + number % 4) / 20
        box = (size / 2 - radius, size / 2 - radius, size / 2 + radius, size / 2 + radius)
        ImageDraw.Draw(picture).ellipse(box, fill=COLOURS[number % len(COLOURS)])
        return picture


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {code: Emoji(code=code, concept=code, names=(f"disc {place}",)) for place, code in enumerate(CODES)}
    assert 0 < sum(is_held_out(code) for code in CODES) < len(CODES) / 2
    for module in (build_dataset, evaluate):
        monkeypatch.setattr(module, "known_emoji", lambda *_: known)  # pyright: ignore[reportUnknownLambdaType]
        monkeypatch.setitem(module.ART, "3d", lambda _: Discs())  # pyright: ignore[reportUnknownLambdaType]
        monkeypatch.setitem(module.ART, "flat", lambda _: Discs())  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(evaluate, "NEGATIVES", 2)
    monkeypatch.setattr(evaluate, "PROMPTS", Path(__file__).parent / "two prompts.txt")
    monkeypatch.setattr(evaluate, "read_prompts", lambda _: ["a disc", "two discs"])  # pyright: ignore[reportUnknownLambdaType]
