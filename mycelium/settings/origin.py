"""Where a value comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

Kind: TypeAlias = Literal["default", "file", "variable", "flag"]
RANKS: Final[Mapping[Kind, int]] = {"default": 0, "file": 1, "variable": 2, "flag": 3}
"""The higher one counts."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who said it: the file, the variable or the flag of this name, or nobody."""

    kind: Kind = "default"
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    @property
    def rank(self) -> int:
        return RANKS[self.kind]


@dataclass(frozen=True, slots=True)
class Layer:
    """What one kind of origin says: values nested as in the file, and who says each."""

    values: Mapping[str, Any]
    origin_of: Callable[[str], Origin]
    """By the name of a setting, such as `coordination.redis.db`."""


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        found |= flat(cast("Mapping[str, Any]", value), f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their dotted names, nested."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        part = whole
        for step in path:
            part = part.setdefault(step, {})
        part[last] = value
    return whole
