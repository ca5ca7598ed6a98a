"""The verbs of those who hand out work: create tasks, find them, call them off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from mycelium import rules
from mycelium.client.base import Base, checked, within
from mycelium.client.ids import new_id
from mycelium.errors import NotFound
from mycelium.models import (
    Page,
    Priority,
    RunWhen,
    Task,
    TaskQuery,
    TaskSpec,
    TaskStatus,
    validated,
)
from mycelium.models.base import Cursor, Id, Line, Model


class TaskFilter(Model):
    """For checking what is asked for from outside."""

    status: TaskStatus | None
    ready: bool
    assigned_to: Id | None
    held_by: Id | None
    workflow_id: Id | None
    search: Line | None
    cursor: Cursor | None


class Reason(Model):
    """For checking a reason that came from outside."""

    reason: Line | None


class Ids(Model):
    """For checking ids that came from outside."""

    ids: tuple[Id, ...]


class TaskVerbs(Base):
    """Create, find and cancel tasks."""

    async def create_task(
        self,
        type: str,
        *,
        title: str = "",
        payload: Mapping[str, JsonValue] | None = None,
        assigned_to: str | None = None,
        depends_on: Sequence[str] = (),
        priority: Priority = "normal",
        queue: str | None = None,
        capabilities: Sequence[str] = (),
        run_when: RunWhen = "all_succeeded",
        condition: Mapping[str, object] | None = None,
        approval: str | None = None,
        budget: Mapping[str, float] | None = None,
        max_attempts: int = 1,
        retry_backoff: float = 1.0,
        timeout_seconds: float | None = None,
        not_before: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Task:
        """Add a task and return it.

        `payload` is a JSON object of at most 1 MiB; `{"$from": "ID.result.KEY"}` in it is what that task, one of
        `depends_on`, came to. `depends_on` are ids of at most 10,000 tasks; `run_when` says which outcomes of theirs
        it waits for, and `condition` what their results must be, else the task is skipped. `queue` and `capabilities`
        say who may claim it. `approval` is a question to a person, whose yes it waits for. `budget` limits `seconds`,
        `tokens` and `turns` over all attempts. A failed attempt is repeated up to `max_attempts` times,
        `retry_backoff` seconds later and twice as long each time. An attempt that takes longer than
        `timeout_seconds` has failed.

        Raises:
            InvalidInput, InvalidId, TooLarge: a value is wrong.
            UnknownDependency: an id in `depends_on` is unknown.
            UnknownReference: `payload` or `condition` refers to a task that is not one of them.
            Conflict: `idempotency_key` made a task that differs from this one.
        """
        spec = validated(
            TaskSpec,
            type=type,
            title=title,
            payload={} if payload is None else payload,
            assigned_to=assigned_to,
            depends_on=depends_on,
            priority=priority,
            queue=queue,
            capabilities=capabilities,
            run_when=run_when,
            condition=condition,
            approval=approval,
            budget=budget,
            max_attempts=max_attempts,
            retry_backoff=retry_backoff,
            timeout_seconds=timeout_seconds,
            not_before=not_before,
            idempotency_key=idempotency_key,
        )
        id = new_id("t")
        return await self._commit(lambda view: rules.create_task(view, spec, id=id, created_by=self.agent))

    async def get_task(self, task_id: str) -> Task:
        """The task as it is now.

        Raises:
            NotFound, InvalidId
        """
        (task,) = await self.backend.get(Task, [checked(task_id)])
        if task is None:
            raise NotFound("task", task_id)
        return task

    async def get_tasks(self, task_ids: Sequence[str]) -> list[Task]:
        """Those of these tasks that exist, in this order."""
        ids = validated(Ids, ids=task_ids).ids
        return [task for task in await self.backend.get(Task, ids) if task is not None]

    async def waiting_on(self, task_id: str, *, limit: int = 20) -> list[str]:
        """Up to `limit` (1 to 1000) ids of the unfinished tasks that this one waits on."""
        within("limit", limit, 1, 1000, whole=True)
        return await self.backend.waiting_on(checked(task_id), limit)

    async def list_tasks(
        self,
        *,
        status: TaskStatus | None = None,
        ready: bool = False,
        assigned_to: str | None = None,
        held_by: str | None = None,
        workflow_id: str | None = None,
        search: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Task]:
        """One page of the tasks that match every filter, newest first.

        `ready` means claimable at once. `search` is text within id, type or title. `limit` is 1 to 1000.

        Raises:
            InvalidCursor: `cursor` is not one that an earlier page gave.
        """
        within("limit", limit, 1, 1000, whole=True)
        wanted = validated(
            TaskFilter,
            status=status,
            ready=ready,
            assigned_to=assigned_to,
            held_by=held_by,
            workflow_id=workflow_id,
            search=search,
            cursor=cursor,
        )
        return await self.backend.find(TaskQuery(limit=limit, **dict(wanted)))

    async def get_tasks_for_agent(self, agent: str) -> list[Task]:
        """The unfinished tasks that are assigned to this agent or held by it, newest first.

        At most 1000 each of those that are pending, of those that run, and of those that it holds.
        """
        name = checked(agent)
        pages = [
            await self.list_tasks(assigned_to=name, status="pending", limit=1000),
            await self.list_tasks(assigned_to=name, status="running", limit=1000),
            await self.list_tasks(held_by=name, limit=1000),
        ]
        found = {task.id: task for page in pages for task in page.records}
        return sorted(found.values(), key=lambda task: (task.created_at, task.id), reverse=True)

    async def cancel_task(self, task_id: str, *, reason: str | None = None, lease_token: int | None = None) -> Task:
        """Call a task off, whoever holds it; what waits on its success is skipped.

        With `lease_token`, only while that lease is current.

        Raises:
            IllegalTransition: it already has another outcome.
            StaleLease: `lease_token` is no longer current; names the holder.
        """
        key, said = checked(task_id), validated(Reason, reason=reason).reason
        token = None if lease_token is None else self._token(key, lease_token)
        task = await self._commit(lambda view: rules.cancel_task(view, key, reason=said, by=self.agent, token=token))
        self.leases.drop(key)
        return task
