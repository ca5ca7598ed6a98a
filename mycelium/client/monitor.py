"""Following a piece of work until all of it has ended, without asking again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeVar

import anyio
from pydantic import Field

from mycelium.client.base import checked, within
from mycelium.client.events import EventVerbs
from mycelium.client.share import share_done
from mycelium.errors import NotFound
from mycelium.models import (
    MAX_TASKS,
    TASKS,
    WORKFLOWS,
    Event,
    EventQuery,
    Record,
    Task,
    TaskStatus,
    Workflow,
    validated,
)
from mycelium.models.base import MAX_SECONDS, Id, Model

R = TypeVar("R", bound=Record)

FAILED: Final = frozenset[TaskStatus]({"failed", "cancelled"})


class TaskIds(Model):
    """For checking ids that came from outside."""

    tasks: Annotated[tuple[Id, ...], Field(max_length=MAX_TASKS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState:
    """How far a workflow, or a handful of tasks, is."""

    tasks: Sequence[Task]
    """As they are now, in the order they were asked for."""
    workflow: Workflow | None = None
    """None where tasks were named one by one."""

    @property
    def finished(self) -> bool:
        """Whether all of it has its outcome, whichever that is."""
        if self.workflow is not None:
            return not self.workflow.going_on
        return not any(task.open for task in self.tasks)

    @property
    def succeeded(self) -> bool:
        """Whether it is finished, and nothing of it failed or was called off. What was skipped was not needed."""
        if self.workflow is not None:
            return self.workflow.status == "completed"
        return self.finished and not any(task.status in FAILED for task in self.tasks)

    @property
    def progress(self) -> float:
        """From 0 to 1: finished tasks count whole, others for as much as their agents have said."""
        return share_done(self.tasks, self.workflow)

    @property
    def counts(self) -> Mapping[TaskStatus, int]:
        """How many of its tasks are in each status."""
        return Counter(task.status for task in self.tasks)


class MonitorVerbs(EventVerbs):
    """Follow work to its end."""

    async def monitor_workflow(self, workflow: str | Sequence[str], *, wait_seconds: float | None = None) -> WorkState:
        """Wait until a workflow, or each of these tasks, has ended, and return how.

        `workflow` is a workflow's id, or a list of up to 10,000 tasks' ids. Failures and cancellations are told by
        the result, not raised. After `wait_seconds` it returns what there is then, which is not `finished`.

        Raises:
            NotFound, InvalidId
        """
        if wait_seconds is not None:
            within("wait_seconds", wait_seconds, 0, MAX_SECONDS)
        state = None
        with anyio.move_on_after(wait_seconds):
            async for newer in self.follow_workflow(workflow):
                state = newer
        return state or await self._work_state(workflow)

    async def follow_workflow(self, workflow: str | Sequence[str]) -> AsyncGenerator[WorkState]:
        """How far a workflow, or a list of tasks, is: now, and after each change until all has ended.

        Changes that come at once are told at once. It follows the log, so waiting costs nothing.

        Raises:
            NotFound, InvalidId
        """
        cursor = await self.last_seq()
        state = await self._work_state(workflow)
        watched = {task.id for task in state.tasks}
        yield state
        async with self.backend.changes() as bell:
            while not state.finished:
                page = await self._first(EventQuery(after=cursor, channels=(TASKS, WORKFLOWS), limit=1000), bell)
                cursor = page.cursor
                if any(_is_on(event, state.workflow) for event in page.events):
                    state = await self._work_state(workflow)
                    watched = {task.id for task in state.tasks}  # what is undone has more of them
                    yield state
                elif changed := watched.intersection(str(event.data.get("task_id")) for event in page.events):
                    state = await self._newer(state, changed)
                    yield state

    async def _work_state(self, workflow: str | Sequence[str]) -> WorkState:
        if not isinstance(workflow, str):
            return WorkState(tasks=await self._found(Task, validated(TaskIds, tasks=workflow).tasks))
        (found,) = await self._found(Workflow, [checked(workflow)])
        tasks = await self._found(Task, found.tasks)
        if not found.going_on:  # then nothing of it changes any more
            found = found.model_copy(update={"progress": share_done(tasks, found)})
        return WorkState(tasks=tasks, workflow=found)

    async def _newer(self, state: WorkState, changed: Set[str]) -> WorkState:
        """The state with these tasks read anew."""
        newer = {task.id: task for task in await self._found(Task, list(changed))}
        return replace(state, tasks=[newer.get(task.id, task) for task in state.tasks])

    async def _found(self, kind: type[R], keys: Sequence[str]) -> list[R]:
        found = await self.backend.get(kind, keys)
        if missing := [key for record, key in zip(found, keys, strict=True) if record is None]:
            raise NotFound(kind.kind, missing[0])
        return [record for record in found if record is not None]


def _is_on(event: Event, workflow: Workflow | None) -> bool:
    """Whether it tells of this workflow as a whole: its progress by hand, or its end."""
    return workflow is not None and event.channel == WORKFLOWS and event.data.get("workflow_id") == workflow.id
