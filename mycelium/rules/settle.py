"""What follows when a task has its outcome: for those that wait on it, for its workflow, and for the task that does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Literal, cast

from pydantic import JsonValue

from mycelium.errors import MyceliumError
from mycelium.models import OPEN, TASKS, RunWhen, Task, TaskStatus, Workflow
from mycelium.rules.adding import unblock
from mycelium.rules.declaring import add_workflow
from mycelium.rules.draft import Draft, about
from mycelium.rules.ending import brief, cancel, close_workflow, end_task, open_tasks, readable_tasks_of, skip
from mycelium.rules.inner import MAX_AT_ONCE, inner_workflow
from mycelium.rules.results import joint_result
from mycelium.rules.reviving import revive_holder
from mycelium.rules.undoing import add_undo_tasks
from mycelium.rules.values import Unresolved
from mycelium.rules.view import Waiter


def settle(draft: Draft, *tasks: Task) -> None:
    """Draw every consequence of these tasks' outcomes, and of those that follow from them.

    Unblocks or skips the tasks that wait on them, begins the work of tasks that a workflow does, and finishes
    workflows that are done, with the tasks they do.
    """
    settled: set[str] = set()
    generation = list(tasks)
    while generation or draft.starting:
        ended: list[Task] = []
        while generation:
            ended += generation
            generation = _after(draft, generation, settled)
        generation = [each for id, own in _by_workflow(ended).items() for each in _after_workflow(draft, id, own)]
        starting = draft.starting[:]
        draft.starting.clear()
        draft.read(Workflow, starting)  # in one journey: most are not there yet
        generation += [each for id in starting for each in _begin(draft, id)]


def _after(draft: Draft, generation: Sequence[Task], settled: set[str]) -> list[Task]:
    """Decide about those who wait on these tasks; those that never run are the next generation."""
    following: list[Task] = []
    for task, waiters in zip(generation, draft.waiters(generation), strict=True):
        settled.add(task.id)  # not sooner: who also waits on it is decided when its own turn comes
        following.extend(_release_waiters(draft, task, waiters, settled))
    return following


def _release_waiters(draft: Draft, task: Task, waiters: Sequence[Waiter], settled: Set[str]) -> Iterable[Task]:
    """Decide about everyone that waits on `task`; yield those that will never run."""
    verdicts = {
        waiter.task_id: _verdict(draft, waiter.task_id, waiter.run_when, task.status, settled) for waiter in waiters
    }
    decided = [key for key, verdict in verdicts.items() if verdict is not None]
    draft.read(Task, decided)
    for key in decided:
        verdict, waiting = verdicts[key], draft.get(Task, key)
        if waiting is None or not waiting.blocked:
            continue
        if verdict == "skipped":
            yield skip(draft, waiting, because=task.id)
        elif not (freed := unblock(draft, waiting)).open:
            yield freed


def _verdict(
    draft: Draft, waiter: str, run_when: RunWhen, status: TaskStatus, settled: Set[str]
) -> Literal["ready", "skipped"] | None:
    """What becomes of a waiter when one of its dependencies ends with `status`; None if it waits on."""
    if run_when == "all_succeeded" and status != "completed":
        return "skipped"
    if run_when == "any_failed" and status == "failed":
        return "ready"
    if draft.waits_on_others(waiter, settled):
        return None
    return "skipped" if run_when == "any_failed" else "ready"


def _by_workflow(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for task in tasks:
        if task.workflow_id is not None:
            found.setdefault(task.workflow_id, []).append(task)
    return found


def _after_workflow(draft: Draft, workflow_id: str, ended: Sequence[Task]) -> list[Task]:
    """What these outcomes mean for the workflow around them: nothing yet, its end, or the end of the others."""
    failed = next((task for task in ended if task.status in {"failed", "cancelled"}), None)
    goes_on = draft.workflow_has(workflow_id, OPEN)
    if goes_on and failed is None:
        return []  # before the workflow is read: each task would pay for the size of a large one
    workflow = draft.get(Workflow, workflow_id)
    if workflow is None or not workflow.going_on:
        return []
    if failed is not None and (stopped := _stopped(draft, workflow, failed)):
        return stopped
    return [] if goes_on else _done(draft, draft.get(Workflow, workflow_id) or workflow)


def _stopped(draft: Draft, workflow: Workflow, failed: Task) -> list[Task]:
    """End the other tasks, where the workflow does not go on after a failure, or a no. Those that ended."""
    if workflow.status == "compensating" or workflow.on_failure == "continue":
        return []
    if workflow.error is None:
        workflow = draft.put(workflow.changed(error=because_of(failed)))
    return end_open_tasks(draft, workflow, reason=f"{failed.id} {failed.status}", by=None)


def end_open_tasks(draft: Draft, workflow: Workflow, *, reason: str, by: str | None) -> list[Task]:
    """Call off whatever of the workflow has no outcome. All tasks that ended."""
    return [each for task in open_tasks(draft, workflow) for each in cancel(draft, task, reason=reason, by=by)]


def because_of(failed: Task) -> dict[str, JsonValue]:
    """The error of a workflow of which this task failed."""
    said = f": {brief(failed.error)}" if failed.error else ""
    what = "was cancelled" if failed.status == "cancelled" else "failed"
    return {"error": f"{failed.id} {what}{said}", "task_id": failed.id}


def _done(draft: Draft, workflow: Workflow) -> list[Task]:
    """Give a workflow without open tasks its outcome, or begin to undo what it did. Tasks that end with that."""
    if workflow.error is None and draft.workflow_has(workflow.id, frozenset({"failed"})):
        workflow = workflow.model_copy(update={"error": _why(draft, workflow)})
    doomed = workflow.error is not None
    if doomed and workflow.on_failure == "compensate" and workflow.status != "compensating":
        undoing = add_undo_tasks(draft, workflow)
        if undoing:
            return [task for task in undoing if not task.open]
    cancelled = not doomed and draft.workflow_has(workflow.id, frozenset({"cancelled"}))
    status = "failed" if doomed else "cancelled" if cancelled else "completed"
    closed = close_workflow(
        draft, workflow, status, None, error=workflow.error, result=joint_result(draft, workflow, status)
    )
    return hand_up(draft, closed)


def _why(draft: Draft, workflow: Workflow) -> dict[str, JsonValue]:
    """The error of a workflow of which a task has failed, also where that one's record cannot be had now."""
    failed = next((task for task in readable_tasks_of(draft, workflow) if task.status == "failed"), None)
    return {"error": "one of its tasks failed"} if failed is None else because_of(failed)


def hand_up(draft: Draft, workflow: Workflow) -> list[Task]:
    """Give the task that this workflow did the same outcome."""
    task = draft.get(Task, workflow.parent) if workflow.parent is not None else None
    if task is None or task.status != "running" or task.runs != workflow.id:
        return []
    outcome = cast("TaskStatus", workflow.status)
    fields: dict[str, object] = {"result": workflow.result, "error": workflow.error}
    if outcome == "completed":
        fields["progress"] = 1.0
    ended = end_task(draft, task, outcome, **fields)
    said = brief(workflow.error) if workflow.error and outcome == "failed" else None
    draft.event(TASKS, f"task.{outcome}", None, **about(ended), error=said)
    return [ended]


def _begin(draft: Draft, task_id: str) -> list[Task]:
    """Begin the work of one such task. Tasks that have ended with that already."""
    task = draft.get(Task, task_id)
    if task is None or task.status != "pending":
        return []
    before = draft.get(Workflow, task.runs) if task.runs is not None else None
    if before is not None and not before.going_on:
        return revive_holder(draft, task, before)
    now, mark = draft.view.now, draft.mark()
    try:
        workflow, tasks = inner_workflow(draft, task)
        _check_size(draft, len(tasks))
        added = add_workflow(draft, workflow, tasks)
    except (Unresolved, MyceliumError) as why:
        draft.back_to(mark)
        return [_not_begun(draft, task, why)]
    draft.put(task.changed(status="running", started_at=now, updated_at=now, attempt=1, runs=workflow.id))
    draft.event(TASKS, "task.started", None, **about(task), runs=workflow.id, attempt=1)
    if added:
        return [each for each in added if not each.open]
    return _done(draft, cast("Workflow", draft.get(Workflow, workflow.id)))


def _check_size(draft: Draft, more: int) -> None:
    """Raise for work that multiplies: what begins at once is one change, for which all others wait."""
    if len(draft.puts) + more > MAX_AT_ONCE:
        raise Unresolved(
            f"with what begins besides, it would make more than {MAX_AT_ONCE} tasks at once: do less in one"
        )


def _not_begun(draft: Draft, task: Task, why: Exception) -> Task:
    """Fail a task whose work cannot be declared."""
    code = why.code if isinstance(why, MyceliumError) else "unresolved_reference"
    failed = end_task(draft, task, "failed", error={"error": str(why), "code": code})
    draft.event(TASKS, "task.failed", None, **about(task), attempt=task.attempt, error=str(why)[:200])
    return failed
