"""The document that the programs here write their tables into."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "matching.md"


def put(name: str, text: str) -> None:
    """Replace what stands between the marks of that name."""
    before = DOCUMENT.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    after, count = pattern.subn(lambda _: f"{start}\n\n{text}\n\n{end}", before)
    if count != 1:
        raise ValueError(f"{DOCUMENT} has {count} places for {name!r}, but one was expected.")
    DOCUMENT.write_text(after, encoding="utf-8")
