"""The other agents, as one of them reaches them: through the tools of an MCP server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from mcp import Client
from mcp_types import TextContent
from pydantic import BaseModel, JsonValue

from mycelium_server.demo.values import Frozen

V = TypeVar("V", bound=BaseModel)

WAIT: Final = 25.0
"""Seconds that one call waits for news; well under the time after which a client would give up."""


class Refused(Exception):
    """A tool refused a call, or failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Claimed(Frozen):
    """A task of which this agent holds the lease."""

    id: str
    type: str
    payload: dict[str, JsonValue] = {}
    depends_on: tuple[str, ...] = ()


class Outcome(Frozen):
    """How a task ended, if it has."""

    status: str
    result: dict[str, JsonValue] | None = None
    error: dict[str, JsonValue] | None = None
    note: str = ""

    @property
    def problem(self) -> str:
        """Why there is no result, for people."""
        why = (self.error or {}).get("error") or (self.error or {}).get("reason")
        how = {"pending": "was not done", "cancelled": "was called off"}.get(self.status, self.status)
        return f"the task {how}" + (f": {why}" if why else "")


class News(Frozen):
    """One event, as far as an agent needs it."""

    type: str
    data: dict[str, JsonValue] = {}


class Team:
    """The tools by their names. Every call goes to this agent's own server, as it would from any MCP client.

    Raises, whatever is called:
        Refused: with the store's own code and words.
    """

    def __init__(self, client: Client, agent: str) -> None:
        self._client = client
        self.agent = agent
        self._cursor: int | None = None

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool and give its structured reply."""
        reply = await self._client.call_tool(tool, arguments)
        content: dict[str, Any] = reply.structured_content or {}
        if reply.is_error:
            said = " ".join(part.text for part in reply.content if isinstance(part, TextContent))
            raise Refused(str(content.get("error", {}).get("code", "error")), said)
        return content

    async def introduce(self, capabilities: Sequence[str], **metadata: JsonValue) -> None:
        await self.call("set_agent_status", capabilities=list(capabilities), metadata=metadata)

    async def wait_for_signal(self, channel: str) -> None:
        """Wait until somebody publishes on this channel, if nobody has yet."""
        while not (await self.call("read_events", channels=[channel], after=0, wait_seconds=WAIT))["events"]:
            pass

    async def claim(self, types: Sequence[str], lease_seconds: float) -> Claimed | None:
        reply = await self.call("claim_task", types=list(types), lease_seconds=lease_seconds)
        return Claimed.model_validate(reply["task"]) if reply["task"] else None

    async def say(self, task: Claimed, progress: float, note: str) -> None:
        await self.call("update_task", task_id=task.id, progress=round(progress, 3), note=note[:500])

    async def complete(self, task: Claimed, result: BaseModel) -> None:
        await self.call("complete_task", task_id=task.id, result=result.model_dump(mode="json"))

    async def fail(self, task: Claimed, error: str) -> None:
        await self.call("fail_task", task_id=task.id, error=error)

    async def result_of(self, task_id: str, model: type[V]) -> V | None:
        """What a task came to; None if it did not succeed."""
        task = (await self.call("get_task", task_id=task_id))["task"]
        return model.model_validate(task["result"]) if task["status"] == "completed" else None

    async def outcome_of(self, task_id: str) -> Outcome:
        return Outcome.model_validate((await self.call("get_task", task_id=task_id))["task"])

    async def workflow_status(self, workflow_id: str) -> str:
        return (await self.call("get_workflow", workflow_id=workflow_id))["workflow"]["status"]

    async def news(self) -> list[News]:
        """What has happened since the last call; waits for something. The first call only marks the place."""
        if self._cursor is None:
            self._cursor = (await self.call("read_events", limit=1))["cursor"]
            return []
        channels = ["tasks:events", "workflows:events"]
        page = await self.call("read_events", channels=channels, after=self._cursor, wait_seconds=WAIT, limit=1000)
        self._cursor = page["cursor"]
        return [News.model_validate(event) for event in page["events"]]
