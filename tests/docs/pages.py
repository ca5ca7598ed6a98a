"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FENCE: Final = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL_PAGES: Final = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code as it stands on a page."""

    language: str
    code: str
    line: int
    """Of the page, from 1."""
    reason: str | None
    """Why it is not run, where it is not."""
    said: str | None
    """The block of plain text that follows at once: what it prints."""


def blocks(page: Path) -> list[Block]:
    """The page's blocks, in their order."""
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    return [
        Block(
            each["language"],
            each["code"],
            text.count("\n", 0, each.start("code")) + 1,
            each["reason"],
            following["code"]
            if following and following["language"] == "text" and _adjoins(text, each, following)
            else None,
        )
        for each, following in zip_longest(found, found[1:])
    ]


def _adjoins(text: str, before: re.Match[str], after: re.Match[str]) -> bool:
    return not text[before.end() : after.start()].strip()


def name_of(page: Path) -> str:
    """The page as one would call it."""
    return str(page.relative_to(ROOT))


def pages_with(language: str) -> list[Path]:
    """The pages that have blocks of this language to run."""
    return [page for page in PAGES if any(each.language == language and not each.reason for each in blocks(page))]
