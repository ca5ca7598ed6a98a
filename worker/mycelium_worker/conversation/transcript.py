"""A conversation, read again from the log. `mycelium events --follow --channel worker:events` shows it live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import Event
from mycelium_worker.attempt import CHANNEL

ROLES: Final[dict[str, Literal["user", "assistant", "tool"]]] = {
    "worker.prompt": "user",
    "worker.turn": "assistant",
    "worker.tool": "tool",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What one side said. `more` is whatever else its event has, such as `tools` and `usage` of a turn."""

    role: Literal["user", "assistant", "tool"]
    text: str
    attempt: int
    seq: int
    more: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])


async def transcript(client: Mycelium, task_id: str) -> Sequence[Line]:
    """All that was said about this task, over all its attempts, in order. Long texts are as the log has them: cut."""
    lines: list[Line] = []
    cursor = 0
    while True:
        page = await client.read_events([CHANNEL], after=cursor, limit=1000)
        if not page.events:
            return lines
        lines += [_line(event) for event in page.events if _about(event, task_id)]
        cursor = page.events[-1].seq


def _about(event: Event, task_id: str) -> bool:
    return event.type in ROLES and event.data.get("task_id") == task_id


def _line(event: Event) -> Line:
    more = {key: value for key, value in event.data.items() if key not in {"task_id", "attempt", "text"}}
    attempt = event.data.get("attempt")
    return Line(
        ROLES[event.type],
        str(event.data.get("text", "")),
        attempt if isinstance(attempt, int) else 0,
        event.seq,
        more,
    )
