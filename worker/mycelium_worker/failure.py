"""What goes into a task's error when an attempt at it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from mycelium import MyceliumError
from mycelium_worker.executor import TaskFailed

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mycelium.models import Task

LONGEST: Final = 10_000
"""Characters of an error that are kept: a tool's whole output may be in it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed: the error as the store keeps it, and whether another could go better."""

    error: dict[str, JsonValue]
    retry: bool

    @property
    def plain(self) -> Failure:
        """The same without what its executor added, which may be no JSON or too much of it."""
        return Failure({name: self.error[name] for name in ("error", "code") if name in self.error}, self.retry)


def failure_of(error: BaseException) -> Failure:
    """What an executor's exception says."""
    match alone(error):
        case TaskFailed() as failed:
            return Failure({"error": cut(str(failed)), "code": failed.code, **failed.more}, failed.retry)
        case MyceliumError() as refused:
            return Failure({"error": cut(str(refused)), "code": refused.code}, retry=True)
        case crash:
            said = cut(str(crash)) or type(crash).__name__
            return Failure({"error": said, "code": "crashed", "type": type(crash).__name__}, retry=True)


def refused(error: MyceliumError) -> Failure:
    """The store does not take the result, and would not take it of another attempt."""
    return Failure({"error": f"The result was refused: {cut(str(error))}", "code": error.code}, retry=False)


def timed_out(task: Task, seconds: float) -> Failure:
    """The attempt took its whole time; what a budget had left of it is no time for another."""
    if task.budget is not None and task.budget.seconds is not None and seconds != task.timeout_seconds:
        said = f"the budget of {task.budget.seconds:g} seconds is used up"
        return Failure({"error": said, "code": "budget_exceeded", "budget": "seconds"}, retry=False)
    return Failure({"error": f"timed out after {seconds:g} seconds", "code": "timed_out"}, retry=True)


def alone(error: BaseException) -> BaseException:
    """The one exception in the groups that task groups make of it."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return alone(group.exceptions[0]) if len(group.exceptions) == 1 else group


def cut(text: str) -> str:
    """As much of it as is kept, and only what can be written down."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    return shown.encode("utf-8", "replace").decode("utf-8")
