"""The verbs of those who work: claim a task, say how far it is, finish it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

import anyio
import anyio.lowlevel
from pydantic import Field, JsonValue, StrictBool

from mycelium import rules
from mycelium.client.base import checked, within
from mycelium.client.housekeeping import Housekeeping
from mycelium.client.tasks import TaskVerbs
from mycelium.errors import BudgetExceeded, InvalidInput, NotClaimable, StaleLease
from mycelium.models import MAX_SECONDS, ClaimRequest, Task, TaskStatus, validated
from mycelium.models.base import Count, JsonObject, Label, Line, Model, Share

DEFAULT_LEASE: Final = 60.0
"""Seconds. A lease is renewed while its holder is connected, so this is how long a dead one is waited for."""


class Success(Model):
    """For checking a result that came from outside."""

    result: JsonObject | None


class Failure(Model):
    """For checking an error that came from outside."""

    error: JsonObject
    retry: StrictBool


class Used(Model):
    """For checking what an agent says it has used up."""

    tokens: Count | None = None
    turns: Count | None = None


class Progress(Model):
    """For checking a progress report that came from outside."""

    progress: Share | None = None
    note: Line | None = None
    release: StrictBool = False
    spent: Used | None = None


class Choice(Model):
    """For checking which tasks are wanted, as said from outside."""

    types: Annotated[tuple[Label, ...], Field(max_length=100)]
    queues: Annotated[tuple[Label, ...], Field(max_length=100)]


class WorkVerbs(TaskVerbs, Housekeeping):
    """Claim, work on and finish tasks."""

    async def claim_task(
        self,
        task_id: str | None = None,
        *,
        agent: str | None = None,
        types: Sequence[str] = (),
        queues: Sequence[str] = (),
        addressed: bool = False,
        lease_seconds: float = DEFAULT_LEASE,
    ) -> Task | None:
        """Lease this task, or the most urgent and oldest ready one that fits; None when there is none.

        `types` and `queues` are at most 100 each, none means any. `addressed` leaves out what is for just anyone:
        tasks that are assigned to nobody, are in no queue and need nothing. What a task needs, the agent must have
        among the `capabilities` it has reported. The lease is renewed in the background while this client is open. It
        is `task.lease`, and this client remembers its token.

        Raises:
            NotClaimable: the named task is held, assigned elsewhere, or waits for something; says which. Or the
                agent holds as many tasks as the store allows one to, or is in error after many failures.
            IllegalTransition: the named task is finished.
        """
        name = self.agent if agent is None else checked(agent)
        within("lease_seconds", lease_seconds, 0.05, MAX_SECONDS)
        wanted = validated(Choice, types=types, queues=queues)
        key = None if task_id is None else checked(task_id)
        await self.see(name)
        if key is not None:
            return await self._claim_this(key, name, lease_seconds)
        request = ClaimRequest(
            agent=name,
            seconds=lease_seconds,
            types=tuple(dict.fromkeys(wanted.types)),
            queues=tuple(dict.fromkeys(wanted.queues)),
            capabilities=frozenset(self._known[name].capabilities),
            addressed=addressed,
        )
        return await self._claim_next(request)

    async def _claim_this(self, key: str, agent: str, seconds: float) -> Task:
        def claim(view: rules.View) -> rules.Change[Task]:
            return rules.claim_task(view, key, agent=agent, seconds=seconds)

        try:
            return await self._keep(await self._commit(claim))
        except NotClaimable as refusal:
            # The task may be free, or one that fills this agent's hands be lost, without anybody having noticed.
            full = "max_tasks" in refusal.data
            freed = await self._bring_task(key)
            if not freed and not (full and await self._sweep()):
                raise
            return await self._keep(await self._commit(claim))

    async def _claim_next(self, request: ClaimRequest) -> Task | None:
        def grant(view: rules.View, task: Task) -> rules.Change[Task]:
            return rules.grant(view, task, agent=request.agent, seconds=request.seconds)

        while True:
            try:
                committed = await self.backend.claim(request, grant)
            except NotClaimable as refusal:
                if "missing" in refusal.data:
                    request = await self._better_known(request)
                elif "max_tasks" not in refusal.data or not await self._sweep():
                    raise
                continue
            if committed is not None:
                return await self._keep(committed.result)
            if not await self._sweep():
                return None

    async def _better_known(self, request: ClaimRequest) -> ClaimRequest:
        """The request with what the agent can do by now: somebody else has said that it is less than before."""
        self._unseen_from.pop(request.agent, None)
        await self.see(request.agent)
        return replace(request, capabilities=frozenset(self._known[request.agent].capabilities))

    async def _keep(self, task: Task) -> Task:
        """Remember a new lease; if the caller was cancelled meanwhile, nobody will work on it, so give it back."""
        self.leases.keep(task)
        current = asyncio.current_task()
        if current is None or not current.cancelling():
            return task
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.update_task(task.id, release=True)
            raise
        return task

    async def renew_lease(self, task_id: str, *, lease_token: int | None = None) -> Task:
        """Make a lease last its full time from now on.

        Raises:
            StaleLease: it is no longer current.
        """
        key, token = checked(task_id), self._token(task_id, lease_token)
        try:
            task = await self._commit(lambda view: rules.renew_lease(view, key, token=token))
        except StaleLease:
            self.leases.lose(key)
            raise
        self.leases.keep(task)
        return task

    async def update_task(
        self,
        task_id: str,
        *,
        progress: float | None = None,
        note: str | None = None,
        spent: Mapping[str, int] | None = None,
        release: bool = False,
        lease_token: int | None = None,
    ) -> Task:
        """Say how far the work is (0 to 1) and renew the lease, or give the task back with `release`.

        `spent` are the `tokens` and `turns` that the work took since the last report.

        Raises:
            StaleLease: the lease is no longer current; names the holder.
            BudgetExceeded: the task has used up more than it may, and has failed with that.
        """
        said = validated(Progress, progress=progress, note=note, release=release, spent=spent)
        used = said.spent or Used()
        key, token = checked(task_id), self._token(task_id, lease_token)
        if said.release:
            task = await self._commit(lambda view: rules.release_task(view, key, token=token, note=said.note))
        else:
            task = await self._commit(
                lambda view: rules.update_task(
                    view, key, token=token, progress=said.progress, note=said.note, tokens=used.tokens, turns=used.turns
                )
            )
        self.leases.keep(task)
        if task.status == "failed":
            raise _over_budget(task)
        return task

    async def complete_task(
        self, task_id: str, result: Mapping[str, JsonValue] | None = None, *, lease_token: int | None = None
    ) -> Task:
        """Finish a task with its result. Again with the same token, it is the same one completion.

        Raises:
            StaleLease: the lease is no longer current; names the holder.
        """
        said = validated(Success, result=result)
        key, token = checked(task_id), self._token(task_id, lease_token)
        task = await self._commit(lambda view: rules.complete_task(view, key, token=token, result=said.result))
        self.leases.drop(key)
        return task

    async def fail_task(
        self,
        task_id: str,
        error: str | Mapping[str, JsonValue],
        *,
        retry: bool = True,
        lease_token: int | None = None,
    ) -> Task:
        """Record a failed attempt. It is repeated while attempts are left, unless `retry` is false.

        Raises:
            StaleLease: the lease is no longer current; names the holder.
        """
        said = validated(Failure, error={"error": error} if isinstance(error, str) else error, retry=retry)
        key, token = checked(task_id), self._token(task_id, lease_token)
        task = await self._commit(
            lambda view: rules.fail_task(view, key, token=token, error=said.error, retry=said.retry)
        )
        self.leases.drop(key)
        return task

    async def update_task_status(self, task_id: str, status: TaskStatus, **details: JsonValue) -> Task:
        """Move a task to `status` by the verb that leads there: the short way for agents that think in statuses.

        `running` claims it, or reports progress where this client holds it; `pending` gives it back; `completed`
        takes `details` as the result, `failed` as the error, `cancelled` takes `reason`. `running` and `pending`
        take `progress` (0 to 1) and `note`.
        """
        match status:
            case "running":
                said = _progress(details)
                if self.leases.token(task_id, None) is None:
                    await self.claim_task(task_id)
                return await self.update_task(task_id, progress=said.progress, note=said.note)
            case "pending":
                return await self.update_task(task_id, release=True, note=_progress(details).note)
            case "completed":
                return await self.complete_task(task_id, details)
            case "failed":
                return await self.fail_task(task_id, details)
            case "cancelled":
                return await self.cancel_task(task_id, reason=str(details["reason"]) if "reason" in details else None)
            case _:
                raise InvalidInput(
                    f"No agent sets {status!r}.",
                    hint="Tasks are skipped by their dependencies.",
                    fields=["status"],
                )


def _over_budget(task: Task) -> BudgetExceeded:
    said = str((task.error or {}).get("error", "its budget is used up"))
    return BudgetExceeded(
        f"{task.id} was stopped: {said}.",
        hint="Drop the work; create a new task with a larger budget if it is worth it.",
        task_id=task.id,
        spent=task.spent.model_dump() if task.spent else None,
    )


def _progress(details: Mapping[str, JsonValue]) -> Progress:
    """`progress` and `note` as they are; whatever else was said becomes the note."""
    others = ", ".join(f"{name}={value}" for name, value in details.items() if name not in {"progress", "note"})
    return validated(Progress, progress=details.get("progress"), note=details.get("note") or others or None)
