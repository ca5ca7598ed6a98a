"""The commands that only look."""

from __future__ import annotations

from typing import Annotated

import typer

from mycelium.models import AgentStatus, TaskStatus, WorkflowStatus
from mycelium_server.cli.options import AsJson, Backend, Cursor, Limit, opened
from mycelium_server.cli.run import runs

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (tasks, task, agents, events, workflows, stats):
        app.command()(command)


@runs
async def tasks(
    status: Annotated[TaskStatus | None, typer.Option(help="Show only tasks in this status.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Show only tasks that could be claimed now.")] = False,
    assigned_to: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show only tasks reserved for this agent.")
    ] = None,
    held_by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show only tasks that this agent works on.")
    ] = None,
    workflow: Annotated[str | None, typer.Option(metavar="ID", help="Show only tasks of this workflow.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Show only tasks with this text in their id, type or title.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show

    async with opened(backend) as m:
        page = await m.list_tasks(
            status=status, ready=ready, assigned_to=assigned_to, held_by=held_by, workflow_id=workflow, search=search,
            limit=limit, cursor=cursor,
        )  # fmt: skip
    show(listings.of_tasks(page), as_json=as_json)


@runs
async def task(task_id: TaskId, backend: Backend = "auto", as_json: AsJson = False) -> None:
    """Show one task in full."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show_fields

    async with opened(backend) as m:
        found = await m.get_task(task_id)
        waiting_on = await m.waiting_on(task_id) if found.blocked else []
    show_fields(listings.fields_of_task(found, waiting_on), listings.data_of_task(found, waiting_on), as_json=as_json)


@runs
async def agents(
    status: Annotated[AgentStatus | None, typer.Option(help="Show only agents in this status.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """List agents by name."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show

    async with opened(backend) as m:
        page = await m.list_agents(status=status, limit=limit, cursor=cursor)
    show(listings.of_agents(page), as_json=as_json)


@runs
async def events(
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", "-c", metavar="NAME", help="Show only this channel. May be repeated."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show events as they come, until Ctrl-C.")] = False,
    after: Annotated[
        int | None, typer.Option(metavar="N", help="Show only events with higher numbers, oldest first. 0 shows all.")
    ] = None,
    limit: Limit = 20,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """Show the newest events, or follow them as they come."""
    from mycelium_server.cli.watching import follow_events, show_events

    async with opened(backend) as m:
        if follow:
            await follow_events(m, channel or [], after=after, as_json=as_json)
        else:
            await show_events(m, channel or [], after=after, limit=limit, as_json=as_json)


@runs
async def workflows(
    status: Annotated[WorkflowStatus | None, typer.Option(help="Show only workflows in this status.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """List workflows, newest first."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show

    async with opened(backend) as m:
        page = await m.list_workflows(status=status, limit=limit, cursor=cursor)
    show(listings.of_workflows(page), as_json=as_json)


@runs
async def stats(backend: Backend = "auto", as_json: AsJson = False) -> None:
    """Show which store this is, and how much is in it."""
    from mycelium_server.cli import listings
    from mycelium_server.cli.output import show_fields

    async with opened(backend) as m:
        found = await m.get_stats()
    show_fields(listings.fields_of_stats(found), listings.data_of_stats(found), as_json=as_json)
