"""What a task may take of a model, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from mycelium.models import Budget, Spent, Task
from mycelium_worker.attempt import Limits
from mycelium_worker.model import Usage

Limit: TypeAlias = Literal["max_turns", "max_tokens", "max_seconds"]
SMALLEST: Final = 256
"""Tokens below which an answer is not worth asking for."""
CHARACTERS: Final = 3
"""Characters to a token, reckoned low: what was added since the last turn had better be overestimated."""
CLOSING_SHARE, CLOSING_MOST = 0.1, 60.0
"""So much of the time, and at most so many seconds, is kept for the last answer."""
MARGIN_SHARE, MARGIN_MOST = 0.02, 2.0
"""And so much for writing down the result, before the store itself says that it took too long."""


@dataclass(slots=True)
class Allowance:
    """Turns, tokens and time. `closes_at` and `ends_at` are on the clock `now`."""

    turns: int
    tokens: int
    closes_at: float
    ends_at: float
    now: Callable[[], float]
    reserved: int = 0
    """Tokens that the first question takes at most; 0 where nobody has reckoned that."""
    used: Usage = field(default_factory=Usage)
    taken: int = 0
    _held: int = 0
    """Tokens that the conversation had at the last turn, with its answer."""

    @classmethod
    def of(cls, task: Task, limits: Limits, now: Callable[[], float]) -> Allowance:
        """What the task says, less what earlier attempts took; the limits, where it says nothing."""
        budget, spent, start, seconds = task.budget or Budget(), task.spent or Spent(), now(), limits.seconds
        if (ends := task.times_out_at) is not None:
            seconds = max(0.0, (ends - task.updated_at).total_seconds())  # both by the store's clock
        end = start + seconds - min(MARGIN_MOST, MARGIN_SHARE * seconds)
        return cls(
            turns=limits.turns if budget.turns is None else budget.turns - (spent.turns or 0),
            tokens=limits.tokens if budget.tokens is None else budget.tokens - (spent.tokens or 0),
            closes_at=end - min(CLOSING_MOST, CLOSING_SHARE * seconds),
            ends_at=end,
            now=now,
        )

    def count(self, usage: Usage) -> None:
        """A turn was taken."""
        self.used += usage
        self.taken += 1
        self._held = usage.total

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.ends_at - self.now())

    @property
    def seconds_to_close(self) -> float:
        """How long tools may go on."""
        return max(0.0, self.closes_at - self.now())

    def over(self, added: int) -> Limit | None:
        """Why nothing more can be asked when `added` characters are new, if so."""
        if self.taken >= self.turns:
            return "max_turns"
        if self._left(added) < (SMALLEST if self.taken or self.reserved else 1):
            return "max_tokens"
        return None if self.seconds_left > 0 else "max_seconds"

    def closing(self, added: int) -> Limit | None:
        """Why the next turn has to be the last, if so."""
        if self.taken >= self.turns - 1:
            return "max_turns"
        if self.taken and self._spare(added) < SMALLEST:
            return "max_tokens"
        return None if self.seconds_to_close > 0 else "max_seconds"

    def most_tokens(self, added: int, *, last: bool) -> int:
        """How long the next answer may be; unless it is the last, so that one more fits behind it."""
        return max(1, self._left(added) if last or not self.taken else self._spare(added))

    def _needed(self, added: int) -> int:
        """What the next turn takes before a word of its answer."""
        return self._held + added // CHARACTERS if self.taken else self.reserved

    def _left(self, added: int) -> int:
        return self.tokens - self.used.total - self._needed(added)

    def _spare(self, added: int) -> int:
        """How long an answer may be that another turn, which reads it too, can follow."""
        return (self._left(added) - self._needed(added) - SMALLEST) // 2
