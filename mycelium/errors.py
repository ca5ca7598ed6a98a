"""Everything that can go wrong, as one tree. Catch `MyceliumError` for all of it.

    MyceliumError
    ├── InvalidInput            invalid_input         the caller's value is wrong; nothing was stored
    │   ├── InvalidId           invalid_id
    │   ├── InvalidCursor       invalid_cursor
    │   ├── TooLarge            too_large
    │   ├── InvalidConfig       invalid_config
    │   │   └── InvalidMcpFile  invalid_mcp_file
    │   ├── UnknownDependency   unknown_dependency
    │   ├── UnknownReference    unknown_reference
    │   ├── InvalidSchedule     invalid_schedule
    │   └── DependencyCycle     dependency_cycle
    ├── NotFound                not_found
    ├── Refused                                       the state of the store says no
    │   ├── IllegalTransition   illegal_transition
    │   ├── StaleLease          stale_lease
    │   ├── NotClaimable        not_claimable
    │   ├── BudgetExceeded      budget_exceeded
    │   └── Conflict            conflict
    └── StoreError                                    the store itself
        ├── UnknownBackend      unknown_backend
        ├── BackendUnavailable  backend_unavailable
        ├── StoreLocked         store_locked
        ├── StoreReadOnly       store_read_only
        ├── StoreFull           store_full
        ├── StoreDamaged        store_damaged
        └── SchemaTooNew        schema_too_new

Every leaf has a stable `code`, a sentence that says what is wrong, a `hint` that says what to do next,
and `data` with the names and numbers in it, for programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final


class MyceliumError(Exception):
    """The root of all errors that Mycelium raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data: dict[str, object] = {key: value for key, value in data.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-ready values: `code`, `message`, `hint` and whatever `data` holds."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.data}


class InvalidInput(MyceliumError):
    """A value that was passed in is wrong."""

    code = "invalid_input"


class InvalidId(InvalidInput):
    """An id, name or channel has characters that are not allowed."""

    code = "invalid_id"


class InvalidCursor(InvalidInput):
    """A cursor did not come from the call it was given to."""

    code = "invalid_cursor"


class TooLarge(InvalidInput):
    """A JSON object is over the size limit; it is refused whole."""

    code = "too_large"


class InvalidConfig(InvalidInput):
    """A setting is wrong, in the configuration's file, a variable or a flag."""

    code = "invalid_config"


class InvalidMcpFile(InvalidConfig):
    """The file with the MCP servers cannot be used as it is."""

    code = "invalid_mcp_file"


def _few(names: Sequence[str]) -> Sequence[str]:
    """As many as can be read; `data` has them all."""
    return names if len(names) <= 10 else [*names[:9], "...", names[-1]]


class UnknownDependency(InvalidInput):
    """A task depends on tasks that do not exist."""

    code = "unknown_dependency"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"Unknown dependencies: {', '.join(_few(missing))}.",
            hint="Create those tasks first, or leave them out of depends_on.",
            missing=list(missing),
        )


class DependencyCycle(InvalidInput):
    """Tasks depend on each other in a circle."""

    code = "dependency_cycle"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(
            f"Dependency cycle: {' -> '.join(_few(cycle))}.",
            hint="Remove one of these dependencies.",
            cycle=list(cycle),
        )


class UnknownReference(InvalidInput):
    """A value refers to something that is not there."""

    code = "unknown_reference"


class InvalidSchedule(InvalidInput):
    """A cron line, a time zone or a time of a trigger is wrong, or it would never fire."""

    code = "invalid_schedule"


HINTS: Final[Mapping[str, str]] = {
    "workflow": "Use the id that create_workflow returned; its tasks have it as workflow_id.",
    "task or workflow": "Use an id that create_task or create_workflow returned.",
}
"""What to do about a record that is not found, where a listing is not the best answer."""


class NotFound(MyceliumError):
    """No such task, agent or workflow."""

    code = "not_found"

    def __init__(self, kind: str, key: str) -> None:
        hint = HINTS.get(kind, f"list_{kind}s shows what there is.")
        super().__init__(f"No {kind} {key!r}.", hint=hint, kind=kind, id=key)


class Refused(MyceliumError):
    """The present state does not allow the call."""

    code = "refused"


class IllegalTransition(Refused):
    """A task or workflow in this status cannot do that."""

    code = "illegal_transition"


class StaleLease(Refused):
    """This lease is no longer current."""

    code = "stale_lease"

    def __init__(self, task_id: str, *, status: str, holder: str | None, expires_at: datetime | None) -> None:
        where = f"it is held by {holder}" if holder else f"it is {status} and nobody holds it"
        super().__init__(
            f"Your lease on {task_id} is not current: {where}.",
            hint="Drop this result, or claim the task again if it is ready.",
            task_id=task_id,
            status=status,
            holder=holder,
            expires_at=expires_at.isoformat() if expires_at else None,
        )


class NotClaimable(Refused):
    """The named task cannot be claimed by this agent now."""

    code = "not_claimable"


class BudgetExceeded(Refused):
    """The task has used up what it may; it was stopped."""

    code = "budget_exceeded"


class Conflict(Refused):
    """Another record stands where this one should go, or others changed the same ones first, again and again."""

    code = "conflict"


class StoreError(MyceliumError):
    """The store cannot do its part."""

    code = "store_error"


class UnknownBackend(StoreError):
    """No backend answers to this URL."""

    code = "unknown_backend"


class BackendUnavailable(StoreError):
    """The store cannot be reached or opened."""

    code = "backend_unavailable"


class StoreLocked(StoreError):
    """Another process holds the store's write lock for too long."""

    code = "store_locked"


class StoreReadOnly(StoreError):
    """The store can be read but not written."""

    code = "store_read_only"


class StoreFull(StoreError):
    """There is no room left to write."""

    code = "store_full"


class StoreDamaged(StoreError):
    """The store's file is not what it should be; it was left as it is."""

    code = "store_damaged"


class SchemaTooNew(StoreError):
    """A newer Mycelium made this store."""

    code = "schema_too_new"
