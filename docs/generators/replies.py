"""Real replies of every tool, with what differs from run to run put in order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import anyio
from mcp_types import TextContent

from mycelium import Mycelium, MyceliumError
from mycelium_backends.memory import MemoryBackend
from mycelium_tools.profiles import ALL
from mycelium_tools.reply import refusal

TOOLS: Final = {tool.name: tool for tool in ALL}
MADE_ID: Final = re.compile(r"\b((?:[twa]|tr)-)[0-9a-hjkmnp-tv-z]{14}\b")
LATENCY: Final = re.compile(r'("avg_latency": )[0-9.e-]+')
STORE_ID: Final = re.compile(r"\b[0-9a-f]{12}-(\d+)\b")


@dataclass(frozen=True, slots=True)
class Example:
    """One call of a tool and its answer."""

    tool: str
    arguments: dict[str, Any]
    text: str
    data: dict[str, Any]


@dataclass(slots=True)
class Clock:
    """A second passes with each look at it."""

    now: datetime = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass(slots=True)
class Story:
    """Calls tools and takes down what they answer."""

    told: list[Example] = field(default_factory=list[Example])

    async def call(self, m: Mycelium, tool: str, **arguments: Any) -> dict[str, Any]:
        checked = TOOLS[tool].checked(arguments)
        try:
            answer = (await TOOLS[tool].function(m, **checked)).result()
        except MyceliumError as error:
            answer = refusal(error)
        (said,) = answer.content
        assert isinstance(said, TextContent)
        data = cast("dict[str, Any]", answer.structured_content)
        self.told.append(Example(tool, arguments, said.text, data))
        return data


def examples() -> list[Example]:
    """A story of two agents in which every tool of any profile is called."""
    return anyio.run(_told)


async def _told() -> list[Example]:
    clock = Clock()
    backend = MemoryBackend(clock)
    story = Story()
    async with (
        Mycelium.over(backend, agent="ada", clock=clock, background=False) as ada,
        Mycelium.over(backend, agent="grace", clock=clock, background=False) as grace,
    ):
        await _presence(story, ada)
        await _tasks(story, ada, grace)
        await _rest(story, ada)
        await _by_hand(story, ada)
        await _triggers(story, ada)
        await _people(story, ada)
    return story.told


async def _presence(story: Story, ada: Mycelium) -> None:
    await story.call(ada, "set_agent_status", status="busy", active_tasks=["reviews"], capabilities=["python"])
    await story.call(ada, "get_agent_status")
    await story.call(ada, "list_agents", status="busy")


async def _tasks(story: Story, ada: Mycelium, grace: Mycelium) -> None:
    first = await story.call(
        ada, "create_task", type="review", title="Look at pull request 7", payload={"pull_request": 7}, priority="high"
    )
    task_id = first["task_id"]
    await story.call(ada, "list_tasks", ready=True)
    await story.call(grace, "claim_task", types=["review"])
    await story.call(grace, "update_task", task_id=task_id, progress=0.5, note="tests read")
    await story.call(ada, "claim_task", task_id=task_id)
    await story.call(ada, "get_task", task_id=task_id)
    await story.call(grace, "complete_task", task_id=task_id, result={"verdict": "merge"})
    await story.call(ada, "wait_for", task_id=task_id)
    second = await ada.create_task("deploy", title="Bring it to staging", max_attempts=3, retry_backoff=60)
    await grace.claim_task(second.id)
    await story.call(grace, "fail_task", task_id=second.id, error="staging does not answer")
    await story.call(ada, "cancel_task", task_id=second.id, reason="staging was given up")


async def _rest(story: Story, ada: Mycelium) -> None:
    await story.call(ada, "publish_event", channel="team:notes", type="build.done", data={"branch": "main"})
    await story.call(ada, "read_events", channels=["team:notes"], after=0)
    tasks: list[object] = ["prepare", {"name": "train", "type": "gpu", "depends_on": ["prepare"]}]
    made = await story.call(ada, "create_workflow", type="training", tasks=tasks)
    await story.call(ada, "get_workflow", workflow_id=made["workflow_id"])
    await story.call(ada, "get_stats")


async def _people(story: Story, ada: Mycelium) -> None:
    task = await ada.create_task("deploy")
    await story.call(
        ada, "notify_user", user="u-7", message="Staging is up again.", level="success", task_id=task.id
    )  # fmt: skip


async def _by_hand(story: Story, ada: Mycelium) -> None:
    move = await ada.create_workflow("migration")
    await story.call(ada, "update_workflow", workflow_id=move.id, progress=0.4, current_task="copying tables")
    await story.call(ada, "list_workflows", status="running")
    await story.call(ada, "control_workflow", workflow_id=move.id, action="pause")
    await story.call(ada, "complete_workflow", workflow_id=move.id, result={"tables": 12})
    other = await ada.create_workflow("migration")
    await story.call(ada, "fail_workflow", workflow_id=other.id, error="the old schema is unknown")


async def _triggers(story: Story, ada: Mycelium) -> None:
    when = {"event": {"channel": "system:events", "type": "alert"}}
    then = {"task": {"type": "inspect", "payload": {"host": {"$from": "cause.data.host"}}}}
    made = await story.call(ada, "create_trigger", when=when, then=then)
    await story.call(ada, "list_triggers")
    await story.call(ada, "set_trigger", trigger_id=made["trigger_id"], active=False)
    await story.call(ada, "remove_trigger", trigger_id=made["trigger_id"])


class Order:
    """Gives ids that are made at random the same look in every run."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        return LATENCY.sub(r"\g<1>0.25", STORE_ID.sub(r"7f3a9c1e5b2d-\1", MADE_ID.sub(self._id, text)))

    def _id(self, found: re.Match[str]) -> str:
        return self._seen.setdefault(found[0], f"{found[1]}65qeyywdvn5b{len(self._seen):02}")
