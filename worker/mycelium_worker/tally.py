"""How attempts end, and how many ended in which way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Ending: TypeAlias = Literal["completed", "failed", "retrying", "cancelled", "lost", "released"]
"""`retrying`: failed, and another attempt is left. `lost`: another has the task by now. `released`: given back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one job."""

    task_id: str
    type: str
    attempt: int
    ended: Ending
    seconds: float
    code: str | None = None
    """Why it failed, in a word."""
    error: str | None = None
    """Why it failed, in a sentence."""

    def as_dict(self) -> dict[str, Any]:
        """It as JSON-ready values."""
        said = {
            "task_id": self.task_id, "type": self.type, "attempt": self.attempt, "ended": self.ended,
            "seconds": round(self.seconds, 3), "code": self.code, "error": self.error,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}


@dataclass(slots=True)
class Tally:
    """How many jobs ended in which way."""

    ended: Counter[Ending] = field(default_factory=Counter[Ending])

    def count(self, outcome: Outcome) -> None:
        self.ended[outcome.ended] += 1

    @property
    def done(self) -> int:
        return self.ended["completed"]

    @property
    def failed(self) -> int:
        """Attempts that failed, whether or not another is left."""
        return self.ended["failed"] + self.ended["retrying"]

    @property
    def total(self) -> int:
        return self.ended.total()
