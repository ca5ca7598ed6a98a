"""A store that was not the first choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mycelium.backend import Backend
from mycelium.models import Stats


class Fallback:
    """A backend whose counts tell what it was taken instead of; all else goes straight to the one within."""

    def __init__(self, backend: Backend, instead_of: str) -> None:
        self._backend = backend
        self._instead_of = instead_of

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def stats(self) -> Stats:
        return replace(await self._backend.stats(), instead_of=self._instead_of)
