"""What a client does by itself while it is open: renew its leases, and act on what time and events bring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

import anyio

from mycelium import rules
from mycelium.backend import Bell
from mycelium.client.base import SEEN_EVERY, Base, log
from mycelium.client.firing import Firing, trigger_id
from mycelium.client.house import House
from mycelium.errors import MyceliumError, StaleLease
from mycelium.models import HOUSE, Agent, Keeper, Record, Task, Trigger, Workflow

LONGEST_REST: Final = 1.0
"""Seconds between two looks at what is due, at most: another process may have added something sooner."""
GATHERING: Final = 0.02
"""Seconds for which events gather before triggers are asked about them: one look then does for many."""


class Housekeeping(Base):
    """Keeps leases alive and time moving."""

    house: House
    """Whose turn it is to do what time and events bring."""
    elects: bool
    """Whether this client takes part in the election; else it does that work whenever it is told to."""
    _firing: Firing

    async def housekeep(self) -> int:
        """Do what time and events have brought: end leases, waits and agents, let triggers fire. How much that was.

        The client that was elected does this in the background. Two at once do no harm: each change happens once.
        """
        changed, _ = await self._end_what_is_due()
        if self.elects:
            return changed + await self._let_fire()
        (keeper,) = await self.backend.get(Keeper, [HOUSE])
        self.house.cursor = keeper.cursor if keeper else 0
        self._firing.forget()
        changed += await self._let_fire()
        if changed:
            await self.house.note()
        return changed

    async def _sweep(self) -> int:
        """The same, if that is this client's to do: who was not elected leaves it to whoever was."""
        return await self.housekeep() if self.house.mine or not self.elects else 0

    async def _bring_task(self, task_id: str) -> bool:
        """Do to one task what its time has brought, on the same terms."""
        if not self.house.mine and self.elects:
            return False
        return await self._commit(lambda view: rules.expire_task(view, task_id)) is not None

    async def _end_what_is_due(self) -> tuple[int, datetime | None]:
        """End it, and let schedules act; how much that was, and when the next of what was not yet due will be."""
        due = await self.backend.due(limit=100)
        ended = fired = 0
        for record in filter(self._may_end, due.records):
            if isinstance(record, Trigger):
                fired += await self._tick(record)
            else:
                ended += await self._bring(record)
        self.house.expired += ended
        self.house.fired += fired
        return ended + fired, due.next_at

    def _may_end(self, record: Record) -> bool:
        if not self.elects:
            return True
        if isinstance(record, Task) and record.lease is not None:
            return self.house.may_end(record.lease.seconds)
        return not isinstance(record, Agent) or self.house.may_end(min(record.ttl, SEEN_EVERY))

    async def _tick(self, trigger: Trigger) -> int:
        """Let a schedule act; how often it fired."""
        id = trigger_id()
        return await self._commit(lambda view: rules.fire_on_time(view, trigger.id, id=id))

    async def _bring(self, record: Record) -> bool:
        """End what the time of this record has come for; whether that was anything."""
        match record:
            case Task():
                return bool(await self._commit(lambda view: rules.expire_task(view, record.id)))
            case Workflow():
                return bool(await self._commit(lambda view: rules.expire_workflow(view, record.id)))
            case _:
                return bool(await self._commit(lambda view: rules.expire_agent(view, record.key)))

    async def _let_fire(self) -> int:
        """Ask the triggers about the events since, and about the statistics. How many fired."""
        self.house.cursor, fired = await self._firing.for_events(self.house.cursor)
        fired += await self._firing.for_statistics()
        self.house.fired += fired
        return fired

    async def keep_house(self) -> None:
        """Keep house for ever, or watch whoever does, resting in between until something is due."""
        async with AsyncExitStack() as stack:
            bell: Bell | None = None
            while True:
                try:
                    rest = await self._keep_or_watch()
                    if bell is None and self.house.mine and self._firing.listens:
                        bell = await stack.enter_async_context(self.backend.changes())
                except MyceliumError as error:
                    log.warning("housekeeping failed and will be tried again: %s", error)
                    rest = LONGEST_REST
                except Exception:  # noqa: BLE001 - a boundary: one record that cannot be dealt with must not end the client
                    log.exception("housekeeping failed unexpectedly and will be tried again")
                    rest = LONGEST_REST
                await _rest(rest, bell)

    async def _keep_or_watch(self) -> float:
        """What is to be done now; seconds until the next look."""
        if not self.house.mine:
            await self.house.watch()
            if self.house.mine:
                self._firing.forget()
            return 0 if self.house.mine else LONGEST_REST
        ended, next_at = await self._end_what_is_due()
        fired = await self._let_fire()
        await self.house.beat()
        return 0 if ended or fired else self._until(next_at)  # there may be more than one look takes

    def _until(self, next_at: datetime | None) -> float:
        if next_at is None:
            return LONGEST_REST
        return min(max((next_at - self._clock()).total_seconds(), 0.01), LONGEST_REST)

    async def leave_house(self) -> None:
        """Let another client keep house."""
        try:
            await self.house.leave()
        except MyceliumError as error:
            log.info("the house was not handed over: %s", error)

    async def keep_leases(self) -> None:
        """Renew this client's leases for ever, each when a third of its time has passed."""
        while True:
            await self.leases.taken.wait()
            while self.leases.current():
                await anyio.sleep(self.leases.pause())
                for task_id, token in self.leases.to_renew():
                    await self._renew(task_id, token)
            self.leases.taken = anyio.Event()

    async def _renew(self, task_id: str, token: int) -> None:
        try:
            task = await self._commit(lambda view: rules.renew_lease(view, task_id, token=token))
            self.leases.keep(task)
            await self.see(task.agent)  # who works for long without a call is not gone
        except StaleLease as stale:
            if self.leases.lose(task_id):
                log.warning("lease lost: %s", stale)
        except MyceliumError as error:
            log.warning("lease of %s not renewed, will be tried again: %s", task_id, error)

    async def release_leases(self) -> None:
        """Give back whatever this client still holds."""
        for task_id, held in self.leases.current().items():
            token = held.token
            try:
                await self._commit(lambda view, id=task_id, token=token: rules.release_task(view, id, token=token))
            except MyceliumError as error:
                log.info("%s was not released: %s", task_id, error)
            self.leases.drop(task_id)


async def _rest(seconds: float, bell: Bell | None) -> None:
    """Until so much time has passed, or something has happened that triggers may wait on."""
    with anyio.move_on_after(seconds) as scope:
        await (anyio.sleep(seconds) if bell is None else bell.wait())
    if bell is not None and not scope.cancelled_caught:
        await anyio.sleep(GATHERING)
