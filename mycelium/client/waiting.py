"""Waiting for what others do, with a deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio

from mycelium import rules
from mycelium.client.base import checked, within
from mycelium.client.monitor import MonitorVerbs, WorkState
from mycelium.errors import NotFound
from mycelium.models import Event, Task, When, Workflow, validated
from mycelium.models.base import MAX_SECONDS


class WaitVerbs(MonitorVerbs):
    """Wait for a task, a workflow or an event."""

    async def wait_for(self, what: str | Sequence[str], *, wait_seconds: float | None = None) -> WorkState:
        """Wait until a workflow or a task, by its id, or each of these tasks has ended, and return how.

        As `monitor_workflow`: failures are told by the result, and after `wait_seconds` it returns what there is then.

        Raises:
            NotFound: there is neither a workflow nor a task of this id.
        """
        if not isinstance(what, str):
            return await self.monitor_workflow(what, wait_seconds=wait_seconds)
        return await self.monitor_workflow(await self._task_or_workflow(checked(what)), wait_seconds=wait_seconds)

    async def _task_or_workflow(self, key: str) -> str | Sequence[str]:
        """What `monitor_workflow` wants. A task that a workflow does has the same id as that: it is the task then."""
        if (await self.backend.get(Task, [key]))[0] is not None:
            return [key]
        if (await self.backend.get(Workflow, [key]))[0] is not None:
            return key
        raise NotFound("task or workflow", key)

    async def wait_for_event(
        self, pattern: Mapping[str, object], *, after: int | None = None, wait_seconds: float | None = None
    ) -> Event | None:
        """Wait for the next event like this, and return it; None after `wait_seconds`.

        `pattern` has any of `channel`, `type` and `source`, with `*` and `?`, and `where`, as a trigger's `event`.
        It begins after event `after`, or now.
        """
        if wait_seconds is not None:
            within("wait_seconds", wait_seconds, 0, MAX_SECONDS)
        wanted = validated(When, event=pattern).event
        with anyio.move_on_after(wait_seconds):
            async for event in self.follow_events(after=after):
                if wanted is not None and rules.is_like(wanted, event):
                    return event
        return None
