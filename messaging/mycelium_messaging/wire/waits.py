"""What pika hands to a callback, as something to await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import anyio

from mycelium_messaging.wire.cut import Cut, cut_by

Pika: TypeAlias = Any
"""Something of pika's, whose own signatures tell types in part only."""


class Waits:
    """The answers that are waited for, which all end when what they come by is cut."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._open: set[asyncio.Future[Any]] = set()
        self.cut: Cut | None = None

    async def answer(self, ask: Callable[[Callable[..., None]], object]) -> Any:
        """What `ask` gets handed to its callback.

        Raises:
            Cut: the answer will not come, or not in time.
        """
        from pika.exceptions import AMQPError

        if self.cut is not None:
            raise self.cut
        answer = asyncio.get_running_loop().create_future()
        self._open.add(answer)
        try:
            ask(lambda *said: None if answer.done() else answer.set_result(said))
            with anyio.fail_after(self._patience):
                return await answer
        except AMQPError as error:  # it was closed before anything could be asked
            raise cut_by(error) from error
        except TimeoutError:
            raise Cut(0, f"no answer within {self._patience:g} s") from None
        finally:
            self._open.discard(answer)

    def end(self, cut: Cut) -> None:
        self.cut = cut
        for answer in self._open:
            if not answer.done():
                answer.set_exception(Cut(cut.code, cut.text))
