"""From what pydantic finds wrong to what Mycelium says: the setting, and where it was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mycelium.errors import InvalidConfig
from mycelium.settings.origin import Origin

MOST: Final = 5
"""Problems that are told at once."""
WORDS: Final[Mapping[str, str]] = {"extra_forbidden": "no such setting", "json_type": "must be a JSON object"}


def explained(error: ValidationError, origin_of: Callable[[str], Origin], *, within: str = "") -> InvalidConfig:
    """One error that names every setting that is wrong, and the file, the variable or the flag that has it.

    `within` is the setting whose parts were looked at, where it was not the whole.
    """
    # Without what was found there, which may be a password.
    found = error.errors(include_url=False, include_input=False)
    named = [(f"{within}: {_name(each)}" if within else _name(each), each) for each in found]
    said = [f"{origin_of(name)}: {_place(name)}{_words(each)}" for name, each in named[:MOST]]
    if len(found) > MOST:
        said.append(f"and {len(found) - MOST} more")
    origins = {origin_of(name) for name, _ in named}
    return InvalidConfig(
        f"{'; '.join(said)}.",
        hint="Correct that and start again; `mycelium config` then shows what is in force.",
        settings=sorted({within or name for name, _ in named if name}),
        **_data(origins),
    )


def _name(problem: ErrorDetails) -> str:
    return ".".join(str(step) for step in problem["loc"])[:200]


def _place(name: str) -> str:
    return f"{name}: " if name else ""


def _words(problem: ErrorDetails) -> str:
    said = WORDS.get(problem["type"], problem["msg"]).removeprefix("Value error, ")
    return (said[:1].lower() + said[1:]).rstrip(".")


def _data(origins: set[Origin]) -> dict[str, Any]:
    named = {kind: sorted(each.name for each in origins if each.kind == kind) for kind in ("file", "variable")}
    return {kind: names[0] if len(names) == 1 else names for kind, names in named.items() if names}
