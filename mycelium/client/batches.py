"""The verbs that do many things of one kind in one change: all of them, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, JsonValue

from mycelium import rules
from mycelium.client.events import EventVerbs, type_in
from mycelium.client.ids import new_id
from mycelium.client.tasks import TaskVerbs
from mycelium.models import MAX_TASKS, Event, Task, TaskSpec, validated
from mycelium.models.base import Channel, JsonObject, Label, Model

MAX_EVENTS: Final = 1000
"""As many events as one reading gives."""


def _typed(task: object) -> object:
    return {"type": task} if isinstance(task, str) else task


class TaskSpecs(Model):
    """For checking tasks that came from outside; a bare name is a task of that type."""

    tasks: Annotated[tuple[Annotated[TaskSpec, BeforeValidator(_typed)], ...], Field(max_length=MAX_TASKS)]


class Publications(Model):
    """For checking events that came from outside."""

    channel: Channel
    data: Annotated[tuple[JsonObject, ...], Field(max_length=MAX_EVENTS)]


class EventTypes(Model):
    """For checking the types that events name themselves."""

    types: tuple[Label, ...]


class BatchVerbs(TaskVerbs, EventVerbs):
    """Create many tasks, or publish many events, at once."""

    async def create_tasks(self, tasks: Sequence[str | Mapping[str, object]]) -> list[Task]:
        """Add tasks (at most 10,000) in this order, all or none, and return them.

        A task is a type, or a mapping with any arguments of `create_task`. To let some wait for others, make a
        workflow.

        Raises:
            InvalidInput, InvalidId, TooLarge, UnknownDependency, Conflict: as `create_task` does; nothing was stored.
        """
        specs = validated(TaskSpecs, tasks=tasks).tasks
        ids = [new_id("t") for _ in specs]
        return await self._commit(lambda view: rules.create_tasks(view, specs, ids=ids, created_by=self.agent))

    async def publish_events(
        self, channel: str, data: Sequence[Mapping[str, JsonValue]], *, type: str | None = None
    ) -> list[Event]:
        """Add events (at most 1,000) to the log in this order, all or none, and return them, numbered in a row.

        The type of each is `type`, or else its `data["event"]`, or "message".
        """
        said = validated(Publications, channel=channel, data=data)
        types = validated(EventTypes, types=[type_in(each) if type is None else type for each in said.data]).types
        each_event = zip(types, said.data, strict=True)
        new = [rules.NewEvent(said.channel, each_type, self.agent, each) for each_type, each in each_event]
        return [*(await self.backend.commit(lambda view: rules.publish_events(view, new))).events]
