"""What exchanges, queues and headers are called, and which routing keys there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mycelium.settings.network import RabbitMQ

AGENT_TASKS: Final = "agent_tasks"
AGENT_RESPONSES: Final = "agent_responses"
SYSTEM_EVENTS: Final = "system_events"
USER_NOTIFICATIONS: Final = "user_notifications"
AGENT_COORDINATION: Final = "agent_coordination"
COORDINATION_INTAKE: Final = "agent_coordination.intake"
EVENTS_INTAKE: Final = "system_events.intake"
"""What only our own workers read, so that they and others, who read the queue without `intake`, both get all."""
DEAD_LETTERS: Final = "dead_letters"

PASSING: Final = "mycelium-demo-"
"""What the prefix begins with of queues that one run has for itself, and takes away at its end.

They go by themselves some hours after a run that was killed. The name says so, since every process that takes part in
it has to declare the same.
"""

STORE: Final = "x-mycelium-store"
"""The header that names the store from whose log a message comes."""

TASK_CREATED: Final = "task.created"
TASK_COMPLETED: Final = "task.completed"
TASK_FAILED: Final = "task.failed"
COORDINATION: Final = "agent.coordination"
SYSTEM: Final = "system"
USER: Final = "user"

BINDINGS: Final[Mapping[str, Sequence[str]]] = {
    AGENT_TASKS: (TASK_CREATED,),
    AGENT_RESPONSES: (TASK_COMPLETED, TASK_FAILED),
    SYSTEM_EVENTS: ("system.#",),
    EVENTS_INTAKE: ("system.#",),
    USER_NOTIFICATIONS: ("user.#",),
    AGENT_COORDINATION: ("agent.coordination.#",),
    COORDINATION_INTAKE: (COORDINATION,),
}
"""By the last part of a queue's name: the routing keys it takes. `#` stands for any number of words, also none."""

ASKED_OF_US: Final = frozenset({AGENT_TASKS, COORDINATION_INTAKE})
"""The queues whose messages somebody waits for us to act on: what nobody takes there becomes a dead letter.

The others tell what happened, to whoever cares to read; what nobody has read in time is old news, and gone.
"""


def queue(settings: RabbitMQ, suffix: str) -> str:
    return f"{settings.queue_prefix}.{suffix}"


def dead_letter_queue(settings: RabbitMQ) -> str:
    return queue(settings, DEAD_LETTERS)


def dead_letter_exchange(settings: RabbitMQ) -> str:
    return f"{settings.queue_prefix}.{DEAD_LETTERS}"


def is_passing(settings: RabbitMQ) -> bool:
    """Whether exchanges and queues are there for one run only."""
    return settings.queue_prefix.startswith(PASSING)


def is_bound(suffix: str, routing_key: str) -> bool:
    """Whether the queue takes messages with this routing key."""
    return any(matches(pattern, routing_key) for pattern in BINDINGS.get(suffix, ()))


def is_known(routing_key: str) -> bool:
    """Whether any queue takes messages with this routing key."""
    return any(is_bound(suffix, routing_key) for suffix in BINDINGS)


def matches(pattern: str, routing_key: str) -> bool:
    """Whether a topic exchange sends this key where that pattern leads; of its jokers only a last `#` is ours."""
    stem = pattern.removesuffix("#").removesuffix(".")
    return routing_key == stem or (pattern.endswith("#") and routing_key.startswith(f"{stem}."))
