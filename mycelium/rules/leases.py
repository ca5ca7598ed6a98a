"""Who may work on a task: claims, leases, and what only their holder may do."""

from __future__ import annotations

from datetime import datetime, timedelta

from mycelium.errors import IllegalTransition, NotClaimable, StaleLease
from mycelium.models import TASKS, Lease, Task
from mycelium.rules.draft import Draft, about
from mycelium.rules.health import unfit
from mycelium.rules.view import Change, Terms, View, require


def claim_task(view: View, task_id: str, *, agent: str, seconds: float) -> Change[Task]:
    """Lease this very task to `agent`.

    Raises:
        NotClaimable: somebody holds it, it waits for something, or it is another agent's.
        IllegalTransition: it already has its outcome.
    """
    task = require(view, Task, task_id)
    if not task.open:
        raise finished(task, "claimed")
    if (hindrance := obstacle(task, agent, view.now)) is not None:
        raise hindrance
    return grant(view, task, agent=agent, seconds=seconds)


def lacks_only_a_yes(view: View, task_id: str, *, agent: str) -> Change[bool]:
    """Whether this agent could claim the task if only a person said yes to it."""
    task = view.get(Task, task_id)
    if task is None or not task.open or not task.awaits_approval:
        return Change(False)
    allowed = task.model_copy(update={"approval": None})
    hindered = obstacle(allowed, agent, view.now) or unfit(view, allowed, agent)
    return Change(hindered is None and view.has_room(agent))


def obstacle(task: Task, agent: str, now: datetime) -> NotClaimable | None:
    """Why this agent cannot claim an open task as it stands, or None."""
    if task.lease is not None:
        return NotClaimable(
            f"{task.id} is held by {task.lease.agent} until {task.lease.expires_at.isoformat(timespec='seconds')}.",
            hint="Claim without task_id to get another ready task.",
            task_id=task.id,
            holder=task.lease.agent,
            expires_at=task.lease.expires_at.isoformat(),
        )
    if task.assigned_to not in (None, agent):
        return NotClaimable(
            f"{task.id} is assigned to {task.assigned_to}.",
            hint="Leave it to that agent, or create a task of your own.",
            task_id=task.id,
            assigned_to=task.assigned_to,
        )
    if task.holds_work:
        return NotClaimable(
            f"{task.id} is done by a workflow of its own.",
            hint=f"Claim the tasks of workflow {task.id} when they are ready.",
            task_id=task.id,
            runs=task.runs,
        )
    if task.blocked:
        return NotClaimable(
            f"{task.id} waits on its dependencies.",
            hint="get_task shows which; read_events with wait_seconds tells when it is ready.",
            task_id=task.id,
            depends_on=list(task.depends_on),
        )
    if task.paused:
        return NotClaimable(
            f"{task.id} is paused with workflow {task.workflow_id}.",
            hint="Claim another task until somebody resumes the workflow.",
            task_id=task.id,
            workflow_id=task.workflow_id,
        )
    if task.awaits_approval:
        return NotClaimable(
            f"{task.id} waits for a person's yes to: {task.approval}",
            hint=f"A person says it with `mycelium approve {task.id}`; no agent can.",
            task_id=task.id,
            approval=task.approval,
        )
    if not task.ready(now):
        at = task.not_before.isoformat(timespec="seconds") if task.not_before else None
        return NotClaimable(f"{task.id} may not start before {at}.", hint="Try again then.", task_id=task.id, at=at)
    return None


def grant(view: View, task: Task, *, agent: str, seconds: float) -> Change[Task]:
    """Lease a task that is ready and fits. The token is higher than any the task had, and than most others.

    Raises:
        NotClaimable: the agent holds as many tasks as the store's terms allow, is in error, or cannot do this.
    """
    draft = Draft(view)
    return draft.change(granted(draft, task, agent=agent, seconds=seconds))


def granted(draft: Draft, task: Task, *, agent: str, seconds: float) -> Task:
    """Put the lease into the draft. Raises as `grant` does."""
    view, now = draft.view, draft.view.now
    if (hindrance := unfit(view, task, agent)) is not None:
        raise hindrance
    if not view.has_room(agent):
        raise _full_hands(task, agent, view.terms)
    token = max(task.token + 1, int(now.timestamp() * 1_000_000))
    running = draft.put(
        task.changed(
            status="running",
            attempt=task.attempt + 1,
            token=token,
            lease=Lease.whole(agent=agent, token=token, expires_at=now + timedelta(seconds=seconds), seconds=seconds),
            started_at=now,
            updated_at=now,
            not_before=None,
        )
    )
    draft.event(TASKS, "task.started", agent, **about(running), attempt=running.attempt)
    return running


def _full_hands(task: Task, agent: str, terms: Terms) -> NotClaimable:
    return NotClaimable(
        f"{agent} cannot claim {task.id}: it holds {terms.max_tasks} tasks already, as many as max_tasks allows here.",
        hint="Finish or release one of them first.",
        task_id=task.id,
        agent=agent,
        max_tasks=terms.max_tasks,
    )


def renew_lease(view: View, task_id: str, *, token: int | None) -> Change[Task]:
    """Make the lease last its full time from now on. Not an event."""
    task = held(view, task_id, token)
    longer = task.changed(lease=renewed(task, view.now))
    return Change(longer, puts=(longer,))


def renewed(task: Task, now: datetime) -> Lease | None:
    """Its lease, lasting its full time from now on."""
    if task.lease is None:
        return None
    return task.lease.model_copy(update={"expires_at": now + timedelta(seconds=task.lease.seconds)})


def unheld(task: Task, now: datetime, **fields: object) -> Task:
    """The task without its lease, for others to claim."""
    return task.changed(status="pending", lease=None, started_at=None, updated_at=now, **fields)


def held(view: View, task_id: str, token: int | None) -> Task:
    """The task, if `token` is that of its present lease."""
    return if_held(require(view, Task, task_id), token)


def if_held(task: Task, token: int | None) -> Task:
    """This task, if `token` is that of its present lease."""
    if task.status == "running" and task.token == token and task.lease is not None:
        return task
    if task.status == "running" and task.runs is not None:
        raise _run_by_workflow(task)
    if token is not None or task.status == "running":
        expires_at = task.lease.expires_at if task.lease else None
        raise StaleLease(task.id, status=task.status, holder=task.agent, expires_at=expires_at)
    if not task.open:
        raise finished(task, "changed")
    raise IllegalTransition(
        f"{task.id} is pending: nobody works on it yet.",
        hint="Claim it first.",
        task_id=task.id,
        status=task.status,
    )


def _run_by_workflow(task: Task) -> IllegalTransition:
    return IllegalTransition(
        f"{task.id} is done by workflow {task.runs}, so no agent ends it.",
        hint="Work on the tasks of that workflow, or cancel this one.",
        task_id=task.id,
        runs=task.runs,
    )


def finished(task: Task, wanted: str) -> IllegalTransition:
    """The error for a task that has its outcome."""
    return IllegalTransition(
        f"{task.id} is already {task.status} and cannot be {wanted}.",
        hint="Create a new task if the work is to be done again.",
        task_id=task.id,
        status=task.status,
    )
