"""Pages, the marked blocks in them, and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

BLOCK: Final = re.compile(r"(<!-- made from the code: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages(root: Path) -> list[Path]:
    """The pages of the documentation, the README first."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def fill(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """The page with every marked block made anew.

    Raises:
        KeyError: a block has a name that no maker has.
    """
    return BLOCK.sub(lambda found: f"{found[1]}\n{makers[found[2]]().strip()}\n\n{found[4]}", text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; text is taken as it is, except that no cell ends early."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def code(text: str) -> str:
    """As code within a line; nothing for nothing."""
    return f"`{text}`" if text else ""
