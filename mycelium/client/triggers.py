"""The verbs for triggers."""

from __future__ import annotations

from collections.abc import Mapping

from mycelium import rules
from mycelium.client.base import Base, checked, within
from mycelium.client.ids import new_id
from mycelium.errors import NotFound
from mycelium.models import Page, Trigger, TriggerQuery, TriggerStatus, validated
from mycelium.models.base import Cursor, Model


class TriggerFilter(Model):
    """For checking what is asked for from outside."""

    status: TriggerStatus | None
    cursor: Cursor | None


class TriggerVerbs(Base):
    """Let tasks and workflows come into being when something happens."""

    async def create_trigger(
        self,
        when: Mapping[str, object],
        then: Mapping[str, object],
        *,
        trigger_id: str | None = None,
        times: int | None = None,
    ) -> Trigger:
        """Add a trigger: when this happens, create that, once for each cause.

        `when` is one of `{"event": {"channel", "type", "source", "where"}}` with `*` and `?` in the names,
        `{"schedule": {"cron", "timezone"}}` (or `every_seconds`, or `at`; `missed` is `skip`, `run_once` or
        `run_all`), `{"statistic": {"statistic", "op", "value"}}`, `{"agent": {"agent", "status"}}`. `then` is
        `{"task": {...}}` with the arguments of `create_task`, or `{"workflow": {...}}` with those of
        `create_workflow`; `{"$from": "cause.data.KEY"}` in their payloads is a part of the cause. After `times`
        firings it is done.

        Raises:
            InvalidInput, InvalidSchedule, UnknownReference: what is wrong with it.
            Conflict: there is one of this id.
        """
        id = new_id("tr") if trigger_id is None else checked(trigger_id)
        now = self._clock()
        trigger = validated(
            Trigger, id=id, when=when, then=then, times=times, created_by=self.agent, created_at=now, updated_at=now,
            seq=await self.backend.last_seq(),
        )  # fmt: skip
        return await self._commit(lambda view: rules.create_trigger(view, trigger))

    async def get_trigger(self, trigger_id: str) -> Trigger:
        """The trigger as it is now: whether it is active, how often it fired, when it ticks next.

        Raises:
            NotFound, InvalidId
        """
        (found,) = await self.backend.get(Trigger, [checked(trigger_id)])
        if found is None:
            raise NotFound("trigger", trigger_id)
        return found

    async def list_triggers(
        self, *, status: TriggerStatus | None = None, limit: int = 20, cursor: str | None = None
    ) -> Page[Trigger]:
        """One page of the triggers, newest first. `limit` is 1 to 1000."""
        within("limit", limit, 1, 1000, whole=True)
        said = validated(TriggerFilter, status=status, cursor=cursor)
        return await self.backend.find(TriggerQuery(status=said.status, limit=limit, cursor=said.cursor))

    async def stop_trigger(self, trigger_id: str) -> Trigger:
        """Let it not fire until it is started again. Twice is once."""
        return await self._set(trigger_id, active=False)

    async def start_trigger(self, trigger_id: str) -> Trigger:
        """Let it fire again, for what happens from now on. Twice is once.

        Raises:
            IllegalTransition: its one moment has passed.
            InvalidSchedule: it would never tick again, as when its moment went by while it was stopped.
        """
        return await self._set(trigger_id, active=True)

    async def remove_trigger(self, trigger_id: str) -> None:
        """Take it away. What it made stays.

        Raises:
            NotFound, InvalidId
        """
        key = checked(trigger_id)
        await self._commit(lambda view: rules.remove_trigger(view, key, by=self.agent))

    async def _set(self, trigger_id: str, *, active: bool) -> Trigger:
        key, seq = checked(trigger_id), await self.backend.last_seq()
        return await self._commit(lambda view: rules.set_trigger(view, key, active=active, seq=seq, by=self.agent))
