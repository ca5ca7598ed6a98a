"""Noticing that a model goes round in circles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal

from mycelium_worker.model import ToolUse
from mycelium_worker.toolbox import Reply

TELL_AFTER: Final = 4
"""Turns in a row with the same calls and the same answers, after which the model is told so."""
END_AFTER: Final = 6
"""And after which it has no more tools."""


class Repetition:
    """Counts turns in a row that made the same calls and were answered the same."""

    def __init__(self) -> None:
        self._last: object = None
        self.times = 0

    def seen(self, calls: Sequence[tuple[ToolUse, Reply]]) -> Literal["tell", "end"] | None:
        """What is to be done after these calls, if anything."""
        made = [
            (use.name, json.dumps(dict(use.arguments), sort_keys=True), reply.text, reply.is_error)
            for use, reply in calls
        ]
        self.times = self.times + 1 if made == self._last else 1
        self._last = made
        if self.times >= END_AFTER:
            return "end"
        return "tell" if self.times == TELL_AFTER else None
