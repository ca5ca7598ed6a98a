"""Ways to spoil one record of an export, so that it no longer fits the others."""

from collections.abc import Callable
from typing import Any

Lines = list[dict[str, Any]]


def first(lines: Lines, kind: str = "task", **fields: object) -> dict[str, Any]:
    """The first record of this kind that has these fields."""
    return next(line for line in lines if line["kind"] == kind and fields.items() <= line.items())


def changed(lines: Lines, line: dict[str, Any], says: str, **fields: object) -> tuple[int, str]:
    """The line with other fields, None for none; its number, and what an import then says."""
    line.update(fields)
    for name in [name for name in line if line[name] is None]:
        del line[name]
    return lines.index(line) + 1, says


def task(lines: Lines, number: int) -> dict[str, Any]:
    """The first, second or third of the tasks that `fill` makes; the second waits on the first."""
    return [line for line in lines if line["kind"] == "task"][number - 1]


def circle(lines: Lines) -> tuple[int, str]:
    """The first task waits on the second, which waits on it."""
    one, two = task(lines, 1), task(lines, 2)
    return changed(lines, one, "waits on itself", depends_on=[two["id"]], blocked=True)


def of_unknown_tasks(lines: Lines) -> tuple[int, str]:
    other = first(lines, "workflow", type="by hand")
    return changed(lines, other, "lists the task gone", tasks=["gone"])


MISFITS: dict[str, Callable[[Lines], tuple[int, str]]] = {
    "running without a lease": lambda lines: changed(
        lines, first(lines, status="running"), "nobody holds a lease", lease=None
    ),
    "a lease on a task that waits": lambda lines: changed(
        lines, task(lines, 3), "somebody holds a lease", lease=first(lines, status="running")["lease"]
    ),
    "a lease on a task that failed": lambda lines: changed(
        lines, first(lines, status="failed"), "somebody holds a lease", lease=first(lines, status="running")["lease"]
    ),
    "a lease with another token": lambda lines: changed(
        lines, first(lines, status="running"), "its last one had 5", token=5
    ),
    "running and never begun": lambda lines: changed(lines, first(lines, status="running"), "attempt", attempt=None),
    "one idempotency key twice": lambda lines: changed(
        lines, task(lines, 3), f"has the idempotency key of {task(lines, 1)['id']}", idempotency_key="k"
    ),
    "an unknown dependency": lambda lines: changed(lines, task(lines, 2), "depends on t-9", depends_on=["t-9"]),
    "a circle": circle,
    "a task that waits on itself": lambda lines: changed(
        lines, task(lines, 2), "waits on itself", depends_on=[task(lines, 2)["id"]]
    ),
    "blocked by nothing": lambda lines: changed(lines, task(lines, 3), "waits for nothing", blocked=True),
    "blocked by what has ended": lambda lines: changed(
        lines, task(lines, 2), "waits for nothing", depends_on=[first(lines, status="failed")["id"]]
    ),
    "blocked for what cannot come": lambda lines: changed(
        lines, first(lines, status="skipped"), "should be skipped", status=None, blocked=True
    ),
    "blocked and cancelled": lambda lines: changed(lines, task(lines, 2), "also blocked", status="cancelled"),
    "not blocked though it waits": lambda lines: changed(lines, task(lines, 2), "has to wait", blocked=None),
    "of an unknown workflow": lambda lines: changed(
        lines, task(lines, 1), "w-9, which is not there", workflow_id="w-9"
    ),
    "of a workflow that does not list it": lambda lines: changed(
        lines, task(lines, 1), "does not list it", workflow_id=first(lines, "workflow", type="w")["id"]
    ),
    "listed by a workflow it does not know": lambda lines: changed(
        lines, first(lines, status="completed"), "says nothing of workflow", workflow_id=None
    ),
    "a workflow of unknown tasks": of_unknown_tasks,
}
"""Each spoils one record of a store that was filled, and says which line is refused and why."""
