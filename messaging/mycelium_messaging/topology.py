"""The exchange and the queues, as the broker should have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mycelium.settings.network import RabbitMQ
from mycelium_messaging import names

DEAD_LETTERS_MAX: Final = 100_000
"""How many dead letters are kept; the oldest give way, since nobody would ever hear of a refused one."""

UNUSED_MAX: Final = 6 * 3600 * 1000
"""Milliseconds that a run's own queues stay which nobody reads or declares: longer than any such run."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange; one that is `passing` goes with its last queue."""

    name: str
    kind: str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue: what binds it to which exchange, and what the broker is told about it."""

    name: str
    exchange: str
    bindings: Sequence[str]
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def kind(self) -> str:
        return str(self.arguments["x-queue-type"])


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that is declared, in the order it must be."""

    exchanges: Sequence[Exchange]
    queues: Sequence[Queue]


def topology_of(settings: RabbitMQ) -> Topology:
    """What these settings ask for."""
    exchange, letters, passing = settings.exchange, names.dead_letter_exchange(settings), names.is_passing(settings)
    queues = [
        Queue(names.queue(settings, suffix), exchange, bindings, _arguments(settings, suffix))
        for suffix, bindings in names.BINDINGS.items()
    ]
    buried = {**_nature(settings), "x-max-length": DEAD_LETTERS_MAX, "x-overflow": "drop-head"}
    return Topology(
        [Exchange(exchange, "topic", passing), Exchange(letters, "topic", passing)],
        [*queues, Queue(names.dead_letter_queue(settings), letters, ["#"], buried)],
    )


def _nature(settings: RabbitMQ) -> dict[str, Any]:
    """What all queues have in common."""
    return {"x-queue-type": settings.queue_type, **({"x-expires": UNUSED_MAX} if names.is_passing(settings) else {})}


def _arguments(settings: RabbitMQ, suffix: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        **_nature(settings),
        "x-message-ttl": settings.message_ttl_seconds * 1000,
        "x-max-length": settings.max_length,
        "x-overflow": "reject-publish",
    }
    if suffix not in names.ASKED_OF_US:
        return arguments
    arguments["x-dead-letter-exchange"] = names.dead_letter_exchange(settings)
    if settings.queue_type == "quorum":  # kept until the dead-letter queue has confirmed it; a classic queue cannot
        arguments["x-dead-letter-strategy"] = "at-least-once"
    return arguments
