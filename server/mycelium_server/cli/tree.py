"""A workflow with its tasks, and with the workflows that do some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mycelium import Mycelium
from mycelium.models import Condition, Task, Workflow

UNDO: Final = ".undo"
"""What the id of a task ends in that takes another one back."""
DONE: Final = frozenset({"completed", "failed", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True)
class Tree:
    """What there is to draw."""

    workflow: Workflow
    tasks: Sequence[Task]
    inner: Mapping[str, Tree] = field(default_factory=dict[str, "Tree"])
    """By the id of the task that the workflow does."""

    @property
    def declared(self) -> Sequence[Task]:
        """The tasks that somebody asked for."""
        return [task for task in self.tasks if not self._takes_back(task)]

    @property
    def undoing(self) -> Sequence[Task]:
        """The tasks that take others back, first to last."""
        return [task for task in self.tasks if self._takes_back(task)]

    def _takes_back(self, task: Task) -> bool:
        return task.id.endswith(UNDO) and task.id.removesuffix(UNDO) in self.workflow.tasks

    def opened(self, task: Task) -> Tree | None:
        """The workflow that does this task, if its tasks are to be drawn; those of a for_each are only counted."""
        return self.inner.get(task.id) if task.for_each is None else None

    def name(self, key: str) -> str:
        return key.removeprefix(f"{self.workflow.id}.")

    def progress(self, task: Task) -> float:
        """How far a task is; one that a workflow does, as far as that."""
        inner = self.inner.get(task.id)
        return inner.workflow.progress if inner is not None and task.open else task.progress

    def remarks(self, task: Task) -> Sequence[str]:
        """What its status does not say: what it waits for, how many of it are done, why it was skipped or failed."""
        return [said for said in (_hindrance(task), self._counts(task), self._reason(task), _error(task)) if said]

    def _counts(self, task: Task) -> str:
        inner = self.inner.get(task.id)
        if inner is None:
            return ""
        done = sum(each.status in DONE for each in inner.declared)
        bad = sum(each.status == "failed" for each in inner.tasks)
        what = "for each: " if task.for_each is not None else ""
        return f"{what}{done} of {len(inner.declared)} done" + (f", {bad} failed" if bad else "")

    def _reason(self, task: Task) -> str:
        """Why it was skipped, as its dependencies and its condition tell."""
        if task.status != "skipped":
            return ""
        before = {each.id: each.status for each in self.tasks}
        unmet = [key for key in task.depends_on if before.get(key, "completed") != "completed"]
        if task.run_when == "all_succeeded" and unmet:
            return f"because {self.name(unmet[0])} is {before[unmet[0]]}"
        if task.run_when == "any_failed" and not unmet:
            return "because nothing failed"
        return f"because not {asked}" if (asked := self.asked(task)) else ""

    def asked(self, task: Task) -> str:
        """Its condition, with its siblings by their names."""
        return _words_of(task.condition).replace(f"{self.workflow.id}.", "") if task.condition else ""

    @property
    def data(self) -> dict[str, Any]:
        """All of it as JSON."""
        members = [task.model_dump(mode="json") for task in self.tasks]
        inner = {key: tree.data for key, tree in self.inner.items()}
        return {**self.workflow.model_dump(mode="json"), "members": members, **({"inner": inner} if inner else {})}


async def tree_of(m: Mycelium, workflow_id: str) -> Tree:
    """The workflow as it is now.

    Raises:
        NotFound, InvalidId
    """
    return await _grown(m, await m.get_workflow(workflow_id), deep=True)


async def _grown(m: Mycelium, workflow: Workflow, *, deep: bool) -> Tree:
    tasks = await m.get_tasks(workflow.tasks)
    inner = {
        task.id: await _grown(m, await m.get_workflow(task.runs), deep=task.for_each is None)
        for task in tasks
        if deep and task.runs is not None
    }
    return Tree(workflow, tasks, inner)


def _hindrance(task: Task) -> str:
    """What a pending task waits for besides its dependencies."""
    if task.status != "pending":
        return ""
    said = ["paused"] if task.paused else []
    if task.awaits_approval and not task.blocked:
        said.append(f"waits for a person: {task.approval}")
    if task.not_before is not None:
        said.append(f"not before {task.not_before:%Y-%m-%d %H:%M:%SZ}")
    return ", ".join(said)


def _error(task: Task) -> str:
    return str(task.error.get("error", task.error)) if task.error and task.status == "failed" else ""


def _words_of(condition: Condition) -> str:
    """A condition, much as one would say it."""
    if condition.path is not None:
        return f"{'.'.join(condition.path)} {condition.op} {condition.value!r}"
    for name, joint in (("all", " and "), ("any", " or "), ("none", " or ")):
        parts: Sequence[Condition] | None = getattr(condition, name)
        if parts is not None:
            said = f"({joint.join(_words_of(part) for part in parts)})"
            return f"not {said}" if name == "none" else said
    return ""
