"""One dead letter, and the headers that say how it came to be one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from mycelium.models.base import Model
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.envelope import id_in

OURS: Final = "x-mycelium-"
REASON: Final = f"{OURS}reason"
SAYS: Final = f"{OURS}says"
QUEUE: Final = f"{OURS}from"
EXCHANGE: Final = f"{OURS}exchange"
AT: Final = f"{OURS}at"
TASK: Final = f"{OURS}task"
HISTORY: Final = f"{OURS}history"
REPLAYED: Final = f"{OURS}replayed"
"""How often the message was sent out again from the dead letters."""
TASK_FAILED_FOR_GOOD: Final = "task_failed"
"""The reason of a letter about a task that has used up its attempts."""
DEATH: Final = "x-death"
DEATHS: Final = (DEATH, "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason", "x-delivery-count")
SAYS_CHARS: Final = 1000
PREVIEW: Final = 200


class Letter(Model):
    """One dead letter."""

    id: str
    """The message's id, or what stands for it where it has none; the same for the same message."""
    reason: str
    """A code of ours, such as `not_json` or `task_failed`, or RabbitMQ's: expired, rejected, maxlen, delivery_limit."""
    says: str = ""
    queue: str = ""
    """Where it died."""
    exchange: str | None = None
    """Where it was sent to, as far as that is known; the empty one leads to the queue whose name is the routing key."""
    routing_key: str = ""
    at: datetime | None = None
    size: int = 0
    preview: str = ""
    """The beginning of the body."""
    task: str | None = None
    """The task that it was about, if one was recorded."""
    history: Sequence[Any] = ()
    replayed: int = 0


def message_id(delivery: Delivery) -> str:
    """The message's own id, that of its envelope, or one made of what it says, so that it stays the same."""
    if delivery.message_id:
        return delivery.message_id
    if (given := id_in(delivery.body)) is not None:
        return given
    return "sha-" + hashlib.sha256(delivery.routing_key.encode() + b"\n" + delivery.body).hexdigest()[:32]


def letter_of(delivery: Delivery) -> Letter:
    """What a message in the dead-letter queue says. Anybody may have written it, so nothing in it is believed."""
    headers = delivery.headers
    found: dict[str, Any] = {"routing_key": delivery.routing_key}
    found |= _ours(headers) if REASON in headers else _rabbits(headers)
    return Letter(
        id=message_id(delivery),
        size=len(delivery.body),
        preview=delivery.body[: 4 * PREVIEW].decode("utf-8", "replace")[:PREVIEW],
        replayed=_count(headers.get(REPLAYED)),
        **found,
    )


def _ours(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reason": _text(headers.get(REASON)) or "unknown",
        "says": _text(headers.get(SAYS)),
        "queue": _text(headers.get(QUEUE)),
        "exchange": _text(headers[EXCHANGE]) if EXCHANGE in headers else None,
        "at": _moment(headers.get(AT)),
        "task": _text(headers.get(TASK)) or None,
        "history": _history(headers.get(HISTORY)),
    }


def _rabbits(headers: Mapping[str, Any]) -> dict[str, Any]:
    death = _first(headers.get(DEATH))  # the newest
    if not isinstance(death, dict):
        return {"reason": "unknown"}
    said = cast("dict[str, Any]", death)
    times, key = _count(said.get("count")), _text(_first(said.get("routing-keys")))
    found = {
        "reason": _text(said.get("reason")) or "unknown",
        "says": f"{times} times" if times > 1 else "",
        "queue": _text(said.get("queue")),
        "exchange": _text(said["exchange"]) if "exchange" in said else None,
        "at": _moment(said.get("time")),
    }
    return found | ({"routing_key": key} if key else {})


def _first(value: object) -> object:
    return cast("list[object]", value)[0] if isinstance(value, list) and value else None


def _text(value: object) -> str:
    return sayable(value)[:SAYS_CHARS] if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _moment(value: object) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _history(value: object) -> Sequence[Any]:
    try:
        said: object = json.loads(value) if isinstance(value, str) else []
    except (ValueError, RecursionError):
        return ()
    return cast("list[Any]", said) if isinstance(said, list) else ()


def sayable(text: str) -> str:
    """The text without halves of characters, which cannot be written."""
    return text.encode("utf-8", "replace").decode()
