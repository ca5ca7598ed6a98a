"""The `tasks.json` of taskqueue-mcp: projects, each a list of tasks that are worked off in their order."""

from __future__ import annotations

from typing import Final, cast

from pydantic import JsonValue

from mycelium_server.migrate.foreign import Foreign, ForeignGroup, ForeignTask, Form, Name, Standing, formed

PROGRAM: Final = "taskqueue-mcp"
STATUSES: Final[dict[str, Standing]] = {"not started": "open", "in progress": "open", "done": "done"}


class QueueTask(Form):
    """A task of a project."""

    id: Name
    title: str = ""
    status: str = "not started"
    completedDetails: str = ""  # noqa: N815 - the file's own name
    approved: bool = False


class Project(Form):
    """A project with its tasks."""

    projectId: Name  # noqa: N815 - as above
    tasks: tuple[QueueTask, ...] = ()
    completed: bool = False


class QueueFile(Form):
    """The whole file."""

    projects: tuple[Project, ...]


def is_queue(data: object) -> bool:
    """Whether this is such a file's content."""
    return isinstance(data, dict) and isinstance(cast("dict[str, object]", data).get("projects"), list)


def read_queue(data: object, file: str) -> Foreign:
    """The content of such a file.

    Raises:
        InvalidInput: a project or task in it is not in that form.
    """
    projects = formed(QueueFile, data, file).projects
    return Foreign(
        PROGRAM, file, tuple(_group(project, number) for number, project in enumerate(projects)), tuple(STATUSES)
    )


def _group(project: Project, number: int) -> ForeignGroup:
    place = f"projects.{number}"
    return ForeignGroup(
        id=project.projectId,
        tasks=tuple(_task(task, f"{place}.tasks.{index}") for index, task in enumerate(project.tasks)),
        place=place,
        in_a_row=True,
        done=project.completed,
        metadata=project.model_dump(exclude={"tasks"}, exclude_unset=True, mode="json"),
    )


def _task(task: QueueTask, place: str) -> ForeignTask:
    standing = STATUSES.get(task.status, "unknown")
    outcome: dict[str, JsonValue] = {"completedDetails": task.completedDetails, "approved": task.approved}
    return ForeignTask(
        id=task.id,
        title=task.title,
        place=place,
        standing=standing,
        payload=task.model_dump(exclude_unset=True, mode="json"),
        note=f"{task.status} in {PROGRAM}" if task.status == "in progress" else "",
        outcome=outcome if standing == "done" else {},
    )
