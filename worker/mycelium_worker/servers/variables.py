"""`${VAR}` and `${VAR:-default}` in the values of an MCP file, as other MCP clients read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class MissingVariable(LookupError):
    """A variable is not set, and no default stands beside it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """The text with its variables' values. What they hold is not looked at again.

    Raises:
        MissingVariable: one of them is not set.
    """

    def value(found: re.Match[str]) -> str:
        name, default = found.group(1), found.group(2)
        if name in environment:
            return environment[name]
        if default is None:
            raise MissingVariable(name)
        return default

    return _VARIABLE.sub(value, text)
