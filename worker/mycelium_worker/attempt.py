"""One attempt at a task: what whoever does it has to work with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_worker.toolbox import Toolbox

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mycelium_worker.model import Model

CHANNEL = "worker:events"
"""Where workers tell what they are doing, step by step."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a model may take for one task that says nothing of it."""

    turns: int = 50
    tokens: int = 1_000_000
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed task, the tools for it, and a model to ask, where one is configured."""

    client: Mycelium
    task: Task
    toolbox: Toolbox
    model: Model | None = None
    limits: Limits = Limits()

    @property
    def ends_at(self) -> datetime | None:
        """When the task itself will have timed out."""
        return self.task.times_out_at

    # Each call names its own lease: this client may have lost it, and claimed the task anew for another attempt.

    async def say(self, progress: float | None = None, note: str | None = None) -> None:
        """Tell how far the work is (0 to 1). Raises as `Mycelium.update_task`."""
        await self.client.update_task(self.task.id, progress=progress, note=note, lease_token=self.task.token)

    async def spend(self, *, tokens: int, turns: int = 1, note: str | None = None) -> None:
        """Count what the work has used up, and say what it does. Raises as `Mycelium.update_task`.

        `BudgetExceeded` among it: the task has failed with that, and there is nothing left to end.
        """
        await self.client.update_task(
            self.task.id, note=note, spent={"tokens": tokens, "turns": turns}, lease_token=self.task.token
        )

    async def tell(self, type: str, **data: JsonValue) -> None:
        """Add a step to the log, for whoever watches: on `worker:events`, with the task's id."""
        await self.client.publish_event(
            CHANNEL, {"task_id": self.task.id, "attempt": self.task.attempt, **data}, type=type
        )
