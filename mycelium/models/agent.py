"""An agent: anyone who does work, known by a unique name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from mycelium.models.base import MAX_SECONDS, Count, Id, JsonObject, Label, Model, Moment, Record

AgentStatus = Literal["idle", "busy", "error", "offline"]
DEFAULT_TTL: Final = 300.0


class AgentReport(Model):
    """What an agent says of itself."""

    status: AgentStatus = "idle"
    active_tasks: tuple[Annotated[str, Field(max_length=500)], ...] = ()
    capabilities: tuple[Label, ...] = ()
    metadata: JsonObject = {}
    ttl: Annotated[float, Field(gt=0, le=MAX_SECONDS, strict=True)] = DEFAULT_TTL
    """Seconds without a call after which it counts as offline."""


class Agent(AgentReport, Record):
    """An agent as the store keeps it."""

    kind: ClassVar[str] = "agent"

    name: Id
    last_updated: Moment
    failures: Count = 0
    """Attempts in a row that it failed at."""
    recovers_at: Moment | None = None
    """When it may try again, after so many failures that it was marked `error`."""

    @classmethod
    def of(cls, report: AgentReport, *, name: str, last_updated: datetime, version: int) -> Agent:
        """The agent that says this of itself. All values are valid already, so nothing is checked again."""
        said = {field: getattr(report, field) for field in AgentReport.model_fields}
        return cls.model_construct(**said, name=name, last_updated=last_updated, version=version)

    @property
    def key(self) -> str:
        return self.name

    @property
    def due_at(self) -> datetime | None:
        if self.status == "offline":
            return None
        gone_at = self.last_updated + timedelta(seconds=self.ttl)
        return gone_at if self.recovers_at is None else min(gone_at, self.recovers_at)
