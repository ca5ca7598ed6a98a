"""What tools are offered as: names that models accept, unlike each other, and the same from one time to the next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, TypeAlias

LONGEST: Final = 64
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]")

Own: TypeAlias = tuple[str, str]
"""A server's name and what that server calls the tool."""


class ToolNames:
    """Gives names. Once two servers were found to have a tool of one name, it keeps both servers' names."""

    def __init__(self) -> None:
        self._shared: set[str] = set()
        self._ever: dict[str, Own] = {}

    def given(self, tools: Iterable[Own]) -> Mapping[Own, str]:
        """A name for each of these."""
        all_of_them = sorted(set(tools))
        counts = Counter(_plain(own) for _, own in all_of_them)
        self._shared.update(name for name, count in counts.items() if count > 1)
        wished = {tool: self._wished(tool) for tool in all_of_them}
        often = Counter(wished.values())
        names = {tool: name if often[name] == 1 else _cut(name, tool) for tool, name in wished.items()}
        self._ever.update({name: tool for tool, name in names.items()})
        return names

    def meant(self, name: str) -> Own | None:
        """The tool that has, or had, this name."""
        return self._ever.get(name)

    def _wished(self, tool: Own) -> str:
        server, own = tool
        plain = _plain(own)
        name = f"{_plain(server)}__{plain}" if plain in self._shared else plain
        return name if len(name) <= LONGEST and name else _cut(name, tool)


def _plain(name: str) -> str:
    return _OTHER.sub("_", name)


def _cut(name: str, tool: Own) -> str:
    mark = sha256("\0".join(tool).encode()).hexdigest()[:10]
    return f"{name[: LONGEST - len(mark) - 1]}_{mark}"
