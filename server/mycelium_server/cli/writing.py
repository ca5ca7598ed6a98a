"""The commands that change something."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mycelium.errors import InvalidInput
from mycelium.models import Level, Priority, RunWhen
from mycelium_server.cli.options import Agent, AsJson, Backend, opened
from mycelium_server.cli.run import runs


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (create, cancel, notify):
        app.command()(command)


@runs
async def create(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="The kind of work.")],
    title: Annotated[str, typer.Option(metavar="TEXT", help="Say what the task is about.")] = "",
    payload: Annotated[str, typer.Option(metavar="JSON", help="Give it this JSON object, or the one in @FILE.")] = "{}",
    assigned_to: Annotated[str | None, typer.Option(metavar="NAME", help="Let only this agent claim it.")] = None,
    depends_on: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Wait for this task. May be repeated.")
    ] = None,
    priority: Annotated[Priority, typer.Option(help="Say how urgent it is.")] = "normal",
    run_when: Annotated[
        RunWhen, typer.Option(help="Run it after these outcomes of the tasks it waits for.")
    ] = "all_succeeded",
    max_attempts: Annotated[int, typer.Option(metavar="N", help="Try it at most this often.")] = 1,
    retry_backoff: Annotated[
        float, typer.Option(metavar="SECONDS", help="Pause this long after a failure, and twice as long each time.")
    ] = 1.0,
    timeout_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Count an attempt that takes longer as failed.")
    ] = None,
    not_before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Start it no sooner than this time, such as 2030-01-31T09:00:00Z."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Create it once, however often this is called with the same key.")
    ] = None,
    queue: Annotated[str | None, typer.Option(metavar="NAME", help="Put it into this queue.")] = None,
    capability: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Let only agents claim it that can do this. May be repeated."),
    ] = None,
    approval: Annotated[
        str | None, typer.Option(metavar="QUESTION", help="Ask a person this first; see `mycelium approvals`.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="JSON", help='Limit seconds, tokens or turns, such as {"tokens": 5000}.')
    ] = None,
    backend: Backend = "auto",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Create a task and print its id."""
    async with opened(backend, agent, make=True) as m:
        task = await m.create_task(
            type,
            title=title,
            payload=_json_object(payload, "--payload", '{"lines": 3}'),
            assigned_to=assigned_to,
            depends_on=depends_on or (),
            priority=priority,
            run_when=run_when,
            max_attempts=max_attempts,
            retry_backoff=retry_backoff,
            timeout_seconds=timeout_seconds,
            not_before=_moment(not_before),
            idempotency_key=idempotency_key,
            queue=queue,
            capabilities=capability or (),
            approval=approval,
            budget=None if budget is None else _json_object(budget, "--budget", '{"tokens": 5000}'),
        )
    _answer(task.id, task.model_dump(mode="json"), as_json=as_json)


@runs
async def cancel(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id.")],
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Say why.")] = None,
    backend: Backend = "auto",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a task, whoever holds it."""
    async with opened(backend, agent) as m:
        task = await m.cancel_task(task_id, reason=reason)
    _answer(f"{task.id} is {task.status}.", task.model_dump(mode="json"), as_json=as_json)


@runs
async def notify(
    user: Annotated[str, typer.Argument(metavar="USER", help="The person's name or id.")],
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What to say.")],
    title: Annotated[str, typer.Option(metavar="TEXT", help="Say in a few words what it is about.")] = "",
    level: Annotated[Level, typer.Option(help="Say how it is meant.")] = "info",
    task: Annotated[str | None, typer.Option(metavar="ID", help="Name the task that it is about.")] = None,
    backend: Backend = "auto",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Tell a person something.

    It is an event, which programs can pass on.
    """
    async with opened(backend, agent) as m:
        event = await m.notify_user(user, message, title=title, level=level, task_id=task)
    _answer(f"Told {user} in event {event.seq}.", event.model_dump(mode="json"), as_json=as_json)


def _answer(said: str, data: Any, *, as_json: bool) -> None:
    from mycelium_server.cli.output import print_json

    if as_json:
        print_json(data)
    else:
        typer.echo(said)


def _json_object(text: str, flag: str, example: str) -> Any:
    """The value of a flag; whether it is an object is for the library to say."""
    try:
        return json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{flag} is not JSON: {error}.", hint=f"Quote it: {flag} '{example}'.") from None
    except OSError as error:
        raise InvalidInput(f"{text[1:]}: {error.strerror or error}.", hint="Name another file.") from None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(
            f"--not-before {text!r} is no time.", hint="Write it in ISO 8601: 2030-01-31T09:00:00Z."
        ) from None
