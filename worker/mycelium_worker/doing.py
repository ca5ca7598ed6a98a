"""One job from its claim until it is settled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import anyio

from mycelium import Mycelium, MyceliumError
from mycelium.errors import BudgetExceeded, InvalidInput, NotFound, Refused, StaleLease, StoreError
from mycelium_worker.attempt import Attempt, Limits
from mycelium_worker.executor import NotHere
from mycelium_worker.failure import Failure, cut, failure_of, refused, timed_out
from mycelium_worker.patience import insist
from mycelium_worker.tally import Ending, Outcome

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mycelium.models import Task
    from mycelium_worker.executors.registry import Executors
    from mycelium_worker.model import Model
    from mycelium_worker.source import Job
    from mycelium_worker.toolbox import Toolbox

log = logging.getLogger("mycelium.worker")

GIVE_BACK_WITHIN: Final = 2.0
"""Seconds for giving a task back and settling its job when the worker is cancelled."""
PAUSE: Final = 1.0
"""Seconds before a task is given back that cannot be done here now: a queue may bring it again at once."""


class Doing:
    """A job that is under way. `stop` ends its attempt from outside."""

    __slots__ = ("away", "began", "job", "now", "scope", "seconds", "why")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.began = time.monotonic()
        self.seconds = _limit(job.task)
        """How long the attempt may take, or None."""
        self.scope = anyio.CancelScope()
        if self.seconds is not None:
            self.scope.deadline = anyio.current_time() + self.seconds
        self.why: Literal["lost", "given back"] | None = None
        self.now: Task | None = None
        """The task as the store had it when the lease was found lost."""
        self.away: NotHere | None = None
        """Why it cannot be done here."""

    def stop(self, why: Literal["lost", "given back"], now: Task | None = None) -> None:
        if self.why is None:
            self.why, self.now = why, now
            self.scope.cancel()

    def outcome(self, ended: Ending, error: Mapping[str, JsonValue] | None = None) -> Outcome:
        task, said = self.job.task, error or {}
        return Outcome(
            task.id, task.type, task.attempt, ended, time.monotonic() - self.began,
            code=str(said["code"]) if "code" in said else None,
            error=str(said["error"]) if "error" in said else None,
        )  # fmt: skip


def _limit(task: Task) -> float | None:
    # As a duration: the store's clock may differ from this machine's.
    if task.times_out_at is None or task.started_at is None:
        return None
    return (task.times_out_at - task.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Success:
    """What an executor came to."""

    result: Mapping[str, JsonValue]


Stopped: Final = None
"""The attempt was ended from outside."""


@dataclass(slots=True)
class Doer:
    """Lets executors do jobs, and tells the store what came of them."""

    client: Mycelium
    executors: Executors
    toolbox: Toolbox
    model: Model | None = None
    limits: Limits = field(default_factory=Limits)
    under_way: set[Doing] = field(default_factory=set[Doing])

    async def do(self, job: Job) -> Outcome:
        """Do a job to its end: its outcome is in the store before it is settled.

        Whoever cancels this gives the task back.
        """
        doing = Doing(job)
        self.under_way.add(doing)
        try:
            came_to = await self._attempt(doing)
            outcome = await self._tell(doing, came_to)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(GIVE_BACK_WITHIN, shield=True):
                await self.give_back(job)
            raise
        except StoreError as error:
            log.error("the outcome of %s could not be stored: %s", job.task.id, error)  # noqa: TRY400  the error says it all
            await self._let_go(job)
            return doing.outcome("lost", {"code": error.code, "error": str(error)})
        finally:
            self.under_way.discard(doing)
        await self._settle(job)
        return outcome

    async def give_back(self, job: Job) -> None:
        """Let others claim the task at once, as if it had not been tried.

        Where the store cannot be told, the lease runs out, and what brought the job brings it again.
        """
        task = job.task
        try:
            await self.client.update_task(task.id, release=True, lease_token=task.token)
        except StoreError as error:
            log.warning("%s was not given back: %s", task.id, error)
            await self._let_go(job)
            return
        except MyceliumError as error:
            log.info("%s was not given back: %s", task.id, error)
        await self._settle(job)

    async def _settle(self, job: Job) -> None:
        self._drop_lease(job)
        await job.settle()

    async def _let_go(self, job: Job) -> None:
        """Leave the task to whoever has it when its lease ends, since the store cannot be told of it."""
        self._drop_lease(job)
        await job.give_back()

    def _drop_lease(self, job: Job) -> None:
        if self.client.leases.token(job.task.id, None) == job.task.token:
            self.client.leases.drop(job.task.id)  # one that was lost is kept otherwise

    async def _attempt(self, doing: Doing) -> Success | Failure | None:
        """What came of it, or None where it was stopped or needs no more telling."""
        task = doing.job.task
        attempt = Attempt(self.client, task, self.toolbox, self.model, self.limits)
        try:
            with doing.scope:
                executor = self.executors.find(task.type, model=self.model is not None)
                return Success(await executor(attempt))
        except (StaleLease, BudgetExceeded) as over:
            log.info("%s is over: %s", task.id, over)
            doing.stop("lost", await self._now(task.id))
        except NotHere as away:
            doing.away = away
            await anyio.sleep(PAUSE)
            doing.stop("given back")
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # The boundary to executors: whatever one does fails its task, not the worker.
            if _cancelled_from_outside(error):
                raise
            if not doing.scope.cancel_called:
                return self._failure(task, error)
        if doing.why is None and doing.seconds is not None:
            return timed_out(task, doing.seconds)
        return Stopped

    def _failure(self, task: Task, error: BaseException) -> Failure:
        failure = failure_of(error)
        if failure.error["code"] == "crashed":
            log.error("attempt %d at %s (%s) crashed", task.attempt, task.id, task.type, exc_info=error)
        return failure

    async def _tell(self, doing: Doing, came_to: Success | Failure | None) -> Outcome:
        """Have the store know what came of it. What it knows already is not told twice."""
        task = doing.job.task
        try:
            match came_to:
                case Success(result):
                    return await self._complete(doing, result)
                case Failure():
                    return await self._fail(doing, came_to)
                case _ if doing.why == "given back":
                    note = None if doing.away is None else cut(str(doing.away))[:500]
                    await insist(
                        lambda: self.client.update_task(task.id, release=True, note=note, lease_token=task.token),
                        what=f"giving {task.id} back",
                    )
                    return doing.outcome("released", _why_not_here(doing.away))
                case _:
                    return _over(doing, doing.now)
        except (Refused, NotFound) as refusal:
            log.info("the outcome of %s was not taken: %s", task.id, refusal)
            return _over(doing, await self._now(task.id))

    async def _complete(self, doing: Doing, result: Mapping[str, JsonValue]) -> Outcome:
        task = doing.job.task
        try:
            await insist(
                lambda: self.client.complete_task(task.id, result, lease_token=task.token), what=f"completing {task.id}"
            )
        except InvalidInput as error:
            return await self._fail(doing, refused(error))
        return doing.outcome("completed")

    async def _fail(self, doing: Doing, failure: Failure) -> Outcome:
        try:
            after = await self._failed(doing.job.task, failure)
        except InvalidInput:
            failure = failure.plain
            after = await self._failed(doing.job.task, failure)
        return doing.outcome("failed" if after.status == "failed" else "retrying", failure.error)

    async def _failed(self, task: Task, failure: Failure) -> Task:
        return await insist(
            lambda: self.client.fail_task(task.id, failure.error, retry=failure.retry, lease_token=task.token),
            what=f"failing {task.id}",
        )

    async def _now(self, task_id: str) -> Task | None:
        try:
            return await self.client.get_task(task_id)
        except MyceliumError:
            return None


def _over(doing: Doing, now: Task | None) -> Outcome:
    """The outcome where the store already had one, or somebody else has the task."""
    if now is None or now.token != doing.job.task.token:
        return doing.outcome("lost")
    match now.status:
        case "completed" | "cancelled" | "failed":
            return doing.outcome(now.status, now.error)
        case "pending" if now.error is not None:
            return doing.outcome("retrying", now.error)
        case _:
            return doing.outcome("lost")


def _why_not_here(away: NotHere | None) -> Mapping[str, JsonValue] | None:
    return None if away is None else {"code": away.code, "error": cut(str(away))}


def _cancelled_from_outside(error: BaseException) -> bool:
    """Whether the worker itself is cancelled; an executor may raise the same by mistake."""
    current = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and current is not None and current.cancelling() > 0
