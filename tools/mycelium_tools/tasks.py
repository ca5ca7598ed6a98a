"""Tools for tasks. Every reply's structured content has the task under `task`, or `tasks` and `cursor`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mycelium import Mycelium
from mycelium.models import Page, Priority, RunWhen, Task, TaskStatus
from mycelium_tools.arguments import Amounts, LeaseToken, Moment, Number, Object, TextOrObject, Texts, Whole
from mycelium_tools.lines import listed_tasks, room_for, taken, task_details, task_line
from mycelium_tools.paging import fitting, full_page, within
from mycelium_tools.records import short_task_record, task_record
from mycelium_tools.registry import ADDS, ENDS, READS, SETS, tool
from mycelium_tools.reply import Reply


@tool(ADDS)
async def create_task(
    m: Mycelium,
    type: Annotated[str, Field(description="Kind of work")],
    title: str = "",
    payload: Annotated[Object | None, Field(description="Input")] = None,
    assigned_to: Annotated[str | None, Field(description="Agent who alone may claim it")] = None,
    depends_on: Annotated[Texts, Field(description="Task ids")] = [],  # noqa: B006  pydantic copies it for each call
    priority: Priority = "normal",
    run_when: Annotated[RunWhen, Field(description="What depends_on must come to")] = "all_succeeded",
    max_attempts: Whole = 1,
    timeout_seconds: Annotated[Number | None, Field(description="Limit of one attempt")] = None,
    not_before: Annotated[Moment | None, Field(description="ISO 8601 with zone")] = None,
    idempotency_key: Annotated[str | None, Field(description="Same key, same task")] = None,
    queue: str | None = None,
    capabilities: Annotated[Texts, Field(description="Needed to claim it")] = [],  # noqa: B006  as above
    approval: Annotated[str | None, Field(description="Asks a person first")] = None,
    budget: Annotated[Amounts | None, Field(description="seconds, tokens, turns")] = None,
) -> Reply:
    """Add a task for any agent to claim. Returns task_id. It waits until depends_on have ended."""
    task = await m.create_task(
        type,
        title=title,
        payload=payload,
        assigned_to=assigned_to,
        depends_on=depends_on,
        priority=priority,
        run_when=run_when,
        max_attempts=max_attempts,
        timeout_seconds=timeout_seconds,
        not_before=not_before,
        idempotency_key=idempotency_key,
        queue=queue,
        capabilities=capabilities,
        approval=approval,
        budget=budget,
    )
    return Reply(f"task_id: {task_line(task)}", {"task_id": task.id, **await _structured(m, task)})


@tool(READS)
async def get_task(m: Mycelium, task_id: str) -> Reply:
    """One task in full: payload, result or error, holder, and what it is waiting on."""
    task = await m.get_task(task_id)
    waiting_on = await _waiting_on(m, task)
    return Reply(task_details(task, waiting_on), {"task": task_record(task, waiting_on)})


@tool(READS)
async def list_tasks(
    m: Mycelium,
    status: TaskStatus | None = None,
    ready: Annotated[bool, Field(description="Claimable now")] = False,
    assigned_to: str | None = None,
    workflow_id: str | None = None,
    search: str | None = None,
    limit: Whole = 20,
    cursor: Annotated[str | None, Field(description="From last reply")] = None,
) -> Reply:
    """Tasks, newest first, without payloads and results. @ marks the holder."""
    room = room_for(limit)

    async def ask(number: int) -> Page[Task]:
        return await m.list_tasks(
            status=status,
            ready=ready,
            assigned_to=assigned_to,
            workflow_id=workflow_id,
            search=search,
            limit=number,
            cursor=cursor,
        )

    def fit(tasks: list[Task]) -> int:
        return min(fitting(map(short_task_record, tasks)), within(room, taken(listed_tasks(tasks, room))))

    return _listing(await full_page(ask, limit, fit), room)


@tool(ADDS)
async def claim_task(
    m: Mycelium,
    agent: Annotated[str | None, Field(description="Default: you")] = None,
    task_id: Annotated[str | None, Field(description="Default: the most urgent")] = None,
    types: Annotated[Texts, Field(description="Only these")] = [],  # noqa: B006  as above
    queues: Texts = [],  # noqa: B006  as above
    lease_seconds: Number = 60,
) -> Reply:
    """Take a ready task; nobody else gets it. Your lease is renewed while you are connected."""
    task = await m.claim_task(
        agent=agent or None, task_id=task_id, types=types, queues=queues, lease_seconds=lease_seconds
    )
    if task is None:
        return Reply("Nothing is ready. Wait: read_events channels=[tasks:events] wait_seconds=50.", {"task": None})
    text = f"{task_details(task)}\nlease_token: {task.token}"
    return Reply(text, {"task": task_record(task), "lease_token": task.token})


@tool(ADDS)
async def update_task(
    m: Mycelium,
    task_id: str,
    progress: Annotated[Number | None, Field(description="0 to 1")] = None,
    note: str | None = None,
    spent: Annotated[Amounts | None, Field(description="More tokens, turns")] = None,
    release: bool = False,
    lease_token: LeaseToken = None,
) -> Reply:
    """Report progress on a task you hold, or release it."""
    return await _answer(
        m,
        await m.update_task(
            task_id, progress=progress, note=note, spent=spent, release=release, lease_token=lease_token
        ),
    )


@tool(SETS)
async def complete_task(
    m: Mycelium,
    task_id: str,
    result: Annotated[Object | None, Field(description="For those who depend on it")] = None,
    lease_token: LeaseToken = None,
) -> Reply:
    """Finish a task you hold, with its result."""
    return await _answer(m, await m.complete_task(task_id, result, lease_token=lease_token))


@tool(ADDS)
async def fail_task(
    m: Mycelium,
    task_id: str,
    error: TextOrObject,
    retry: Annotated[bool, Field(description="false: never again")] = True,
    lease_token: LeaseToken = None,
) -> Reply:
    """Say that your attempt failed. It is retried while attempts are left."""
    return await _answer(m, await m.fail_task(task_id, error, retry=retry, lease_token=lease_token))


@tool(ENDS)
async def cancel_task(
    m: Mycelium,
    task_id: str,
    reason: str | None = None,
    lease_token: Annotated[Whole | None, Field(description="Only if current")] = None,
) -> Reply:
    """Call a task off, whoever holds it. Tasks that need its success are skipped."""
    return await _answer(m, await m.cancel_task(task_id, reason=reason, lease_token=lease_token))


async def _answer(m: Mycelium, task: Task) -> Reply:
    return Reply(task_line(task), await _structured(m, task))


async def _structured(m: Mycelium, task: Task) -> dict[str, Any]:
    return {"task": task_record(task, await _waiting_on(m, task))}


async def _waiting_on(m: Mycelium, task: Task) -> list[str]:
    return await m.waiting_on(task.id) if task.blocked else []


def _listing(page: Page[Task], room: int) -> Reply:
    lines = listed_tasks(page.records, room) or ["No such tasks."]
    data: dict[str, Any] = {"tasks": [short_task_record(task) for task in page.records]}
    if page.cursor:
        lines.append(f"more: cursor={page.cursor}")
        data["cursor"] = page.cursor
    return Reply("\n".join(lines), data)
