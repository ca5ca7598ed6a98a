"""A task, claimed in a real store, and a model behind a real client to do it, with time that does not have to pass."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal, cast

import anyio
from pydantic import SecretStr

from mycelium import Mycelium
from mycelium.models import Event, Task
from mycelium.settings import network
from mycelium_worker.attempt import CHANNEL, Attempt, Limits
from mycelium_worker.conversation.asking import Pace
from mycelium_worker.conversation.loop import converse
from mycelium_worker.model import Model
from mycelium_worker.providers.claude import open_claude
from mycelium_worker.providers.openai import open_openai
from tests.support.model_endpoint import Endpoint, model_endpoint
from tests.support.model_script import Api, Script
from tests.support.store import PATIENCE
from tests.worker.models.tools import Calls, small_toolbox

__all__ = ["Scene", "scene"]


class Scene:
    """What a test looks at."""

    def __init__(self, m: Mycelium, attempt: Attempt, endpoint: Endpoint, calls: Calls) -> None:
        self.m = m
        self.attempt = attempt
        self.endpoint = endpoint
        self.calls = calls
        self.waits: list[float] = []
        self.passed = 0.0
        """Seconds that were waited away."""

    @property
    def pace(self) -> Pace:
        return Pace(now=lambda: anyio.current_time() + self.passed, sleep=self._sleep, jitter=lambda: 0.0)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.passed += seconds
        await anyio.lowlevel.checkpoint()

    async def hold(self) -> dict[str, Any]:
        """The result of the conversation, which the store takes, too."""
        with anyio.fail_after(PATIENCE):
            result = dict(await converse(self.attempt, pace=self.pace))
            await self.m.complete_task(self.attempt.task.id, result)
        assert self.endpoint.refused == []
        return result

    async def events(self, type: str | None = None) -> list[Event]:
        """What was told, of one type or of all."""
        page = await self.m.read_events([CHANNEL], limit=1000)
        return [event for event in page.events if type in {None, event.type}]

    async def task(self) -> Task:
        return await self.m.get_task(self.attempt.task.id)


@asynccontextmanager
async def scene(
    script: Script,
    api: Api = "messages",
    *,
    stalled_after: float = 30,
    tool_seconds: float = 30,
    limits: Limits | None = None,
    effort: Literal["low", "medium", "high"] | None = None,
    **task: Any,
) -> AsyncGenerator[Scene]:
    """A scene in which the model says what the script says; `task` are fields of the task."""
    calls = Calls()
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(model_endpoint(script))
        toolbox = await stack.enter_async_context(small_toolbox(calls, seconds=tool_seconds))
        model: Model = await stack.enter_async_context(
            open_claude(
                network.Claude(api_key=SecretStr("key"), base_url=endpoint.url, effort=effort),
                stalled_after=stalled_after,
            )
            if api == "messages"
            else open_openai(
                network.OpenAI(api_key=SecretStr("key"), base_url=endpoint.chat_url), stalled_after=stalled_after
            )
        )
        m = await stack.enter_async_context(Mycelium.open("memory://", agent="ada"))
        fields: dict[str, Any] = {"type": "question", "payload": {"prompt": "What is 2 + 3?"}, **task}
        created = await m.create_task(**fields)
        claimed = await m.claim_task(created.id)
        assert claimed is not None
        attempt = Attempt(m, claimed, toolbox, model, limits or Limits())
        yield Scene(m, attempt, endpoint, calls)


def text_in(result: Mapping[str, Any]) -> str:
    """The final text, which comes first."""
    first = result["response"][0]
    assert first["type"] == "text"
    return cast("str", first["text"])


def uses_in(result: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """The uses of tools, in their order."""
    uses = result["response"][1:]
    assert all(use["type"] == "tool_use" for use in uses)
    return cast("list[dict[str, Any]]", uses)
