"""The commands for workflows, triggers, approvals and waiting."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, cast

import typer

from mycelium import Mycelium
from mycelium.errors import InvalidInput
from mycelium.models import Task, TriggerStatus
from mycelium_server.cli.options import Agent, AsJson, Backend, Cursor, Limit, opened
from mycelium_server.cli.run import Usage, runs

if TYPE_CHECKING:
    from mycelium_tools.workflows import Control

OF_WORKFLOW: Final = ("create", "pause", "resume", "cancel", "retry")
OF_TRIGGER: Final = ("create", "stop", "start", "remove")
PARTS_OF_WORKFLOW: Final = ("type", "tasks", "mode", "metadata", "on_failure", "timeout_seconds")
PARTS_OF_TRIGGER: Final = ("when", "then", "id")
SEARCHED: Final = 1000
"""Pending tasks in one look for those that wait for a person."""

Note: TypeAlias = Annotated[str, typer.Option(metavar="TEXT", help="Say something about it.")]
By: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", show_default=False, help="Who says so. Without it, the name of the system's user."),
]
WhatFor: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="ID|FILE", show_default=False, help="Of an action: the id. Of create: a file of JSON, a dash for stdin."
    ),
]
AskedId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (workflow, wait, approvals, approve, reject, triggers, trigger):
        app.command()(command)


@runs
async def workflow(
    word: Annotated[
        str,
        typer.Argument(metavar="ID|ACTION", help="The workflow's id, or else: create, pause, resume, cancel, retry."),
    ],
    of: WhatFor = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a flowchart of Mermaid.")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="Print it as a graph of Graphviz.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Say why it is cancelled.")] = None,
    backend: Backend = "auto",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Show one workflow, or create or control one.

    It is drawn with its tasks and with the workflows that do some of them.
    """
    from mycelium_server.cli.tree import tree_of

    if mermaid + dot + as_json > 1:
        raise Usage("--mermaid, --dot and --json each print it another way.", hint="Choose one of them.")
    action, what = _action(word, of, OF_WORKFLOW)
    async with opened(backend, agent, make=action == "create") as m:
        if action == "create":
            key = await _create_workflow(m, what)
        elif action:
            key = await _control(m, what, cast("Control", action), reason)
        else:
            key = what
        found = await tree_of(m, key)
    if action and not as_json:
        typer.echo(key if action == "create" else f"{key} is {found.workflow.status}.")
    elif mermaid or dot:
        from mycelium_server.cli import diagrams

        typer.echo((diagrams.mermaid if mermaid else diagrams.dot)(found))
    else:
        from mycelium_server.cli.graph import show_workflow

        show_workflow(found, as_json=as_json)


@runs
async def wait(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", show_default=False, help="Ids of tasks and workflows.")
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="CHANNEL:TYPE", help="Wait for the next event like this instead; * and ? match."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--timeout", envvar="MYCELIUM_WAIT_TIMEOUT", metavar="SECONDS", min=0, help="Wait no longer than this."
        ),
    ] = None,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """Wait until tasks and workflows have ended, or for an event.

    A terminal shows their progress meanwhile. The exit code is 0 where all of them succeeded, 1 where one failed or was
    cancelled, and 124 where the time was over before.
    """
    from mycelium_server.cli.waiting import wait_for_event, wait_for_work

    if bool(ids) == bool(event):
        raise Usage("Say what to wait for: ids, or --event.", hint="`mycelium wait --help` says more.")
    async with opened(backend, background=True) as m:
        if event:
            await wait_for_event(m, event, seconds=seconds, as_json=as_json)
        else:
            await wait_for_work(m, ids or [], seconds=seconds, as_json=as_json)


@runs
async def approvals(limit: Limit = 50, backend: Backend = "auto", as_json: AsJson = False) -> None:
    """List the tasks that wait for a person's yes."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show

    async with opened(backend) as m:
        found = await _waiting_for_people(m, limit)
    show(listings.of_approvals(found), as_json=as_json)


async def _waiting_for_people(m: Mycelium, limit: int) -> list[Task]:
    """The newest of them. No store keeps them apart, so all pending tasks are looked at."""
    found: list[Task] = []
    cursor: str | None = None
    while len(found) < limit:
        page = await m.list_tasks(status="pending", limit=SEARCHED, cursor=cursor)
        found += [task for task in page.records if task.awaits_approval and not task.blocked]
        if (cursor := page.cursor) is None:
            break
    return found[:limit]


@runs
async def approve(
    task_id: AskedId, note: Note = "", by: By = None, backend: Backend = "auto", as_json: AsJson = False
) -> None:
    """Say yes to a task that waits for a person."""
    async with opened(backend) as m:
        task = await m.approve_task(task_id, by=by or getpass.getuser(), note=note)
    _answer(f"{task.id} is approved.", task, as_json=as_json)


@runs
async def reject(
    task_id: AskedId, note: Note = "", by: By = None, backend: Backend = "auto", as_json: AsJson = False
) -> None:
    """Say no to a task that waits for a person: it is cancelled."""
    async with opened(backend) as m:
        task = await m.reject_task(task_id, by=by or getpass.getuser(), note=note)
    _answer(f"{task.id} is {task.status}.", task, as_json=as_json)


@runs
async def triggers(
    status: Annotated[TriggerStatus | None, typer.Option(help="Show only triggers in this status.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """List triggers, newest first."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show

    async with opened(backend) as m:
        page = await m.list_triggers(status=status, limit=limit, cursor=cursor)
    show(listings.of_triggers(page), as_json=as_json)


@runs
async def trigger(
    word: Annotated[
        str, typer.Argument(metavar="ID|ACTION", help="The trigger's id, or else: create, stop, start, remove.")
    ],
    of: WhatFor = None,
    backend: Backend = "auto",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Show one trigger, or create, stop, start or remove one."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import print_json, show_fields

    action, what = _action(word, of, OF_TRIGGER)
    async with opened(backend, agent, make=action == "create") as m:
        if action == "remove":
            await m.remove_trigger(what)
            print_json({"removed": what}) if as_json else typer.echo(f"{what} is removed.")
            return
        found = await _TRIGGER_ACTIONS[action](m, what)
    if action and not as_json:
        typer.echo(found.id if action == "create" else f"{found.id} is {found.status}.")
    else:
        show_fields(listings.fields_of_trigger(found), found.model_dump(mode="json"), as_json=as_json)


async def _control(m: Mycelium, key: str, action: Control, reason: str | None) -> str:
    from mycelium_tools.workflows import controlled

    return (await controlled(m, key, action, reason=reason)).id


async def _create_workflow(m: Mycelium, file: str) -> str:
    said = _parts(file, PARTS_OF_WORKFLOW)
    return (await m.create_workflow(said.pop("type", None), **said)).id


async def _create_trigger(m: Mycelium, file: str) -> Any:
    said = _parts(file, PARTS_OF_TRIGGER)
    return await m.create_trigger(said.get("when"), said.get("then"), trigger_id=said.get("id"))  # type: ignore[arg-type]  # the library says what is missing


_TRIGGER_ACTIONS: Final[dict[str, Callable[[Mycelium, str], Awaitable[Any]]]] = {
    "": Mycelium.get_trigger,
    "create": _create_trigger,
    "stop": Mycelium.stop_trigger,
    "start": Mycelium.start_trigger,
}


def _action(word: str, of: str | None, actions: tuple[str, ...]) -> tuple[str, str]:
    """What to do, nothing for showing it, and with what."""
    if of is None and word not in actions:
        return "", word
    if word not in actions:
        raise Usage(f"There is no action {word!r}.", hint=f"There is {', '.join(actions)}.")
    if of is None:
        raise Usage(f"{word} what?", hint="Name a file of JSON." if word == "create" else "Name it by its id.")
    return word, of


def _parts(file: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object in a file, or from stdin for a dash.

    Raises:
        InvalidInput: it cannot be read, is none, or has parts of other names.
    """
    try:
        said: object = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror or error}.", hint="Name another file.", file=file) from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}.", hint="Mend the file.", file=file) from None
    if not isinstance(said, dict):
        raise InvalidInput(f"{file} has no JSON object.", hint=f"Its parts are {', '.join(names)}.", file=file)
    parts = cast("dict[str, Any]", said)
    if unknown := sorted(parts.keys() - set(names)):
        raise InvalidInput(
            f"{file}: unknown parts {', '.join(unknown)}.", hint=f"There is {', '.join(names)}.", file=file
        )
    return parts


def _answer(said: str, task: Task, *, as_json: bool) -> None:
    from mycelium_server.cli.output import print_json

    if as_json:
        print_json(task.model_dump(mode="json"))
    else:
        typer.echo(said)
