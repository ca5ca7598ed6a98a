"""A model that answers nobody, for a wrong key say, is left alone for a while: the tasks are not to blame."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mycelium_worker.model import Unusable

if TYPE_CHECKING:
    from mycelium_worker.executors.registry import Executors
    from mycelium_worker.model import Message, Model, Turn
    from mycelium_worker.toolbox import Tool

log = logging.getLogger("mycelium.worker")

FIRST: Final = 60.0
LONGEST: Final = 900.0
"""Seconds of a rest: each is twice the one before."""


class RestingModel:
    """Asks the model, unless it rests."""

    def __init__(self, model: Model, *, now: Callable[[], float] = time.monotonic) -> None:
        self.trouble: Unusable | None = None
        """Why it answered nobody when it was last asked."""
        self._model = model
        self._now = now
        self._pause = FIRST
        self._until = float("-inf")

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def rests(self) -> bool:
        """Whether nothing is to be begun that needs it."""
        return self._now() < self._until

    async def answer(self, system: str, messages: Sequence[Message], tools: Sequence[Tool], **more: Any) -> Turn:
        """See `Model.answer`. Raises Unusable without asking while it rests."""
        if self.rests and self.trouble is not None:
            raise Unusable(str(self.trouble), code=self.trouble.code)
        try:
            turn = await self._model.answer(system, messages, tools, **more)
        except Unusable as trouble:
            self._rest(trouble)
            raise
        self._recover()
        return turn

    def _rest(self, trouble: Unusable) -> None:
        if self.rests:
            return  # another attempt was told the same at the same time
        log.log(
            logging.INFO if self.trouble else logging.ERROR,
            "the model %s answers nobody, and tasks that need it are left to others; it is asked again in %.0f s: %s",
            self.name, self._pause, trouble,
        )  # fmt: skip
        self.trouble = trouble
        self._until = self._now() + self._pause
        self._pause = min(LONGEST, self._pause * 2)

    def _recover(self) -> None:
        if self.trouble is not None:
            log.warning("the model %s answers again", self.name)
        self.trouble, self._pause = None, FIRST


def types_now(
    types: Sequence[str], executors: Executors, model: RestingModel | None
) -> Callable[[], Sequence[str] | None]:
    """Tells which of these `types` (none: any) to take now: none that need a model while that rests."""
    without = tuple(each for each in types or executors.types if executors.can(each, model=False)) or None

    def now() -> Sequence[str] | None:
        return without if model is not None and model.rests else types

    return now
