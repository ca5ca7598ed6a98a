"""What `--backend` asks to have measured, as the configuration and the flags over it say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mycelium.errors import InvalidInput

AGENTS: Final = {"memory": 100, "sqlite": 50, "taskqueue": 50, "markdown": 20, "redis": 100}
"""By the kind of store: how many agents the figures are told for."""
CALLS: Final = {"memory": 1000, "sqlite": 3000, "taskqueue": 3000, "markdown": 1000, "redis": 3000}
"""By the kind of store: how many calls of each kind are worth waiting for."""
SERVERS: Final = ("redis", "rediss", "redis+unix")
"""What the URL of a server may begin with: those that one bare client talks to."""
MOST_TASKS: Final = 1_000_000
"""So many tasks may one agent hold in a task queue that is measured: it is never refused one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of store, and where or on which terms one is to be made."""

    kind: str
    server: str = field(default="", repr=False)
    """The URL of the server that keeps the store, with how to reach it. It may hold a password."""
    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of a task queue."""


def subject_of(backend: str) -> Subject:
    """What is to be measured.

    Raises:
        InvalidInput: this cannot be measured.
        InvalidConfig: a setting is wrong.
        UnknownBackend: it is a URL that names no server.
    """
    from mycelium.settings import leaves_the_choice

    form = backend.partition(":")[0]
    if form not in {"auto", *AGENTS, *SERVERS}:
        raise _not_measured(form)
    if leaves_the_choice(backend):
        return _configured(backend)
    if form in SERVERS:
        return _on_server(backend)
    if backend == "memory:":
        return Subject("memory")
    raise InvalidInput(
        f"mycelium bench measures {form} in a new folder only, never in a store that may be somebody's.",
        hint=f"Use --backend {form}; TMPDIR says on which disk.",
        fields=["backend"],
    )


def _configured(backend: str) -> Subject:
    from mycelium.settings import MODES, configuration, surroundings_of
    from mycelium_server.assembly.stores import configured_redis

    if ":" not in backend and backend not in MODES:
        raise _not_measured(backend)
    config = configuration(surroundings_of(backend))
    match config.settings.coordination.mode:
        case "auto":
            raise _not_measured("auto")
        case "redis":
            return _on_server(configured_redis(config))
        case "taskqueue":
            terms = config.settings.coordination.taskqueue.model_dump()
            return Subject("taskqueue", terms=terms | {"max_tasks": MOST_TASKS})
        case mode:
            return Subject(mode)


def _on_server(url: str) -> Subject:
    from mycelium.place import place_at

    form = url.partition(":")[0]
    if form not in SERVERS:
        raise _not_measured(form)
    place_at(url)  # which reads all of it, and says what is wrong
    return Subject("redis", server=url)


def _not_measured(form: str) -> InvalidInput:
    return InvalidInput(
        f"mycelium bench cannot measure {form[:40]!r}.",
        hint=f"Use one of: {', '.join(sorted(AGENTS))}; or redis://HOST:PORT/DB for a server.",
        fields=["backend"],
    )
