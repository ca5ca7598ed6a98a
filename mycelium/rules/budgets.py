"""What a task may use up, and what stops it when that is gone."""

from __future__ import annotations

from pydantic import JsonValue

from mycelium.errors import InvalidInput
from mycelium.models import Budget, Spent, Task
from mycelium.rules.draft import Draft
from mycelium.rules.ending import spent_by

ROUNDING = 1e-5
"""Seconds by which a sum of attempts may seem shorter than it was."""
REPORTED = ("tokens", "turns")
"""What only the one who works on a task knows; seconds are counted here."""


def after(task: Task, *, tokens: int | None, turns: int | None) -> Spent:
    """What the task has used up once this is added."""
    before = task.spent or Spent()
    return before.model_copy(update={"tokens": _sum(before.tokens, tokens), "turns": _sum(before.turns, turns)})


def _sum(before: int | None, more: int | None) -> int | None:
    return before if more is None else (before or 0) + more


def excess(task: Task) -> dict[str, JsonValue] | None:
    """The error of a task that has used up more tokens or turns than it may, or None."""
    budget, spent = task.budget or Budget(), task.spent or Spent()
    for name in REPORTED:
        limit, used = getattr(budget, name), getattr(spent, name)
        if limit is not None and used is not None and used > limit:
            return _error(name, used, limit)
    return None


def over_seconds(draft: Draft, task: Task) -> dict[str, JsonValue] | None:
    """The error of a task that has used up its seconds, or None where only this attempt took too long."""
    limit = task.budget.seconds if task.budget is not None else None
    spent = spent_by(draft, task)
    if limit is None or spent is None or spent.seconds + ROUNDING < limit:
        return None
    return _error("seconds", round(spent.seconds, 3), limit)


def _error(name: str, used: float, limit: float) -> dict[str, JsonValue]:
    return {"error": f"used {used:g} {name}, the budget is {limit:g}", "code": "budget_exceeded", "budget": name}


def require_report(task: Task) -> None:
    """Refuse the end of a task with a budget for what only its holder knows, if that was never said.

    Raises:
        InvalidInput: it was not.
    """
    if (budget := task.budget) is None:
        return
    spent = task.spent or Spent()
    missing = [n for n in REPORTED if getattr(budget, n) is not None and getattr(spent, n) is None]
    if missing:
        raise InvalidInput(
            f"{task.id} has a budget of {' and '.join(missing)}, but nobody said what it took.",
            hint="Report it first with update_task spent={...}; 0 is an answer, too.",
            fields=["spent"],
        )
