"""The seam between the worker and those who do its tasks, each a type of them.

An executor is an async function that takes an `Attempt` and gives the task's result. A package brings its own through
the entry point group `mycelium.executors`, under the type of tasks that it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pydantic import JsonValue

from mycelium_worker.attempt import Attempt


class TaskFailed(Exception):
    """The attempt has failed, and why.

    `code` is stable; `retry` says whether another attempt could go better; `more` goes into the task's error.
    """

    def __init__(self, message: str, *, code: str = "failed", retry: bool = True, **more: JsonValue) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry
        self.more: Mapping[str, JsonValue] = more


class NotHere(Exception):
    """The attempt cannot be made here now, and the task is not to blame: it is given back as if it had not been tried.

    `code` is stable.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Executor(Protocol):
    """Does one type of task."""

    async def __call__(self, attempt: Attempt) -> Mapping[str, JsonValue]:
        """The task's result: a JSON object, with what is for its creator under `response` (see `response.py`).

        Raises:
            NotHere: this worker cannot do it now; another one may.
            TaskFailed: it cannot be done. Any other exception is a failure too, and may be tried again.
        """
        ...
