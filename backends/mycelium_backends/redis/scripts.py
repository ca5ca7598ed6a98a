"""The scripts that run in the server. Each is `store.lua`, which they share, and its own part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Final

SCHEMA: Final = "2"
"""The version of what the scripts keep. Another one means that older scripts would read it wrongly."""
OLDER: Final = ("1",)
"""Those whose stores are ours as they stand, since ours only has more: what it has more is absent there."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the name that the server gives it."""

    text: str

    @property
    def sha(self) -> str:
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@cache
def script(name: str) -> Script:
    """The script that `NAME.lua` holds."""
    folder = files("mycelium_backends.redis") / "lua"
    return Script("\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("store", name)))
