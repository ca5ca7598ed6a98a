"""What is told of a conversation while it goes on, on the channel `worker:events`.

    worker.prompt      what the model is told: `text`, and at the beginning `system`, `model` and the names of `tools`
    worker.text        what it says, as it comes, a few times a second: `turn`, `text`
    worker.turn        a turn as a whole: `turn`, `text`, `tools` (each `name`, `arguments`), `stop`, `usage`
    worker.tool        a tool has answered: `turn`, `id`, `name`, `is_error`, `text`, `seconds`
    worker.model_busy  the model cannot be asked now: `reason`, `wait_seconds`, `tries`; what came of the turn is void

A journal is for those who watch: where the store cannot take it, the work goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from pydantic import JsonValue

from mycelium import MyceliumError
from mycelium_worker.attempt import Attempt
from mycelium_worker.model import ToolUse, Turn, Usage
from mycelium_worker.plain import clipped, clipped_json
from mycelium_worker.toolbox import Reply

EVERY: Final = 0.3
"""Seconds between two pieces of text."""
MOST_TEXT: Final = 50_000
"""Characters of a turn's text or of a prompt that are kept."""
MOST_OF_A_TOOL: Final = 4_000
"""Characters of a tool's arguments or of its answer that are kept."""
log = logging.getLogger("mycelium.worker")


def tokens(usage: Usage) -> dict[str, JsonValue]:
    """Usage as it is written down."""
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
    }


class Journal:
    """Tells of one attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._heard: list[str] = []
        self._news = anyio.Event()

    async def prompt(self, text: str, **more: JsonValue) -> None:
        await self._tell("worker.prompt", text=clipped(text, MOST_TEXT), **more)

    async def turn(self, number: int, turn: Turn) -> None:
        await self._tell(
            "worker.turn",
            turn=number,
            text=clipped(turn.text, MOST_TEXT),
            tools=[_use(use) for use in turn.uses],
            stop=turn.stop,
            usage=tokens(turn.usage),
        )

    async def tool(self, number: int, use: ToolUse, reply: Reply, seconds: float) -> None:
        await self._tell(
            "worker.tool",
            turn=number,
            id=use.id,
            name=clipped(use.name, 200),
            is_error=reply.is_error,
            text=clipped(reply.text, MOST_OF_A_TOOL),
            seconds=round(seconds, 3),
        )

    async def busy(self, reason: str, wait_seconds: float, tries: int) -> None:
        await self._tell("worker.model_busy", reason=reason, wait_seconds=round(wait_seconds, 3), tries=tries)

    async def listen(self, number: int, ask: Callable[[Callable[[str], None]], Awaitable[Turn]]) -> Turn:
        """Ask with an ear that tells what comes in the meantime. Raises what asking raises."""
        said: Turn | Exception | None = None
        over = anyio.Event()
        self._heard.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._relay, number, over)
            try:
                said = await ask(self._hear)
            except Exception as error:  # noqa: BLE001 - raised again below, where no task group wraps it
                said = error
            over.set()
            self._news.set()
        if isinstance(said, Turn):
            return said
        raise said or RuntimeError("asking ended with neither a turn nor an error")

    def _hear(self, text: str) -> None:
        self._heard.append(text)
        self._news.set()

    async def _relay(self, number: int, over: anyio.Event) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            if self._heard:
                text = "".join(self._heard)
                self._heard.clear()
                await self._tell("worker.text", turn=number, text=clipped(text, MOST_TEXT))
            if over.is_set():
                return
            with anyio.move_on_after(EVERY):
                await over.wait()
                self._news.set()

    async def _tell(self, type: str, **data: JsonValue) -> None:
        try:
            await self._attempt.tell(type, **data)
        except MyceliumError as error:
            log.warning(
                "a step of a task could not be told",
                extra={"task_id": self._attempt.task.id, "type": type, "error": str(error)},
            )


def _use(use: ToolUse) -> JsonValue:
    unreadable: dict[str, JsonValue] = {} if use.unreadable is None else {"unreadable": clipped(use.unreadable, 500)}
    arguments = clipped_json(dict(use.arguments), MOST_OF_A_TOOL)
    return {"id": use.id, "name": clipped(use.name, 200), "arguments": arguments, **unreadable}
