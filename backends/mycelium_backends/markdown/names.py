"""The names of records' files."""

from __future__ import annotations

import os
import re
from typing import Final

from mycelium.models import Record

RECORD: Final = re.compile(r"(task|agent|workflow|trigger)-(.*)\.md", re.DOTALL)


def name_of(record: Record) -> str:
    """The name of a record's file."""
    return f"{record.kind}-{record.key}.md"


def names_for(kind: str, key: str) -> list[str]:
    """The names that a record's file may have: ours first, then one that people may have given it."""
    return [f"{kind}-{key}.md", *([f"{key}.md"] if key.startswith(f"{kind}-") else [])]


def kind_and_key(name: str) -> tuple[str, str] | None:
    """Which record a file of this name, in the folder itself, holds; None if it is no record's."""
    found = RECORD.fullmatch(name)
    return (found[1], found[2]) if found and name == os.path.basename(name) and "\0" not in name else None
