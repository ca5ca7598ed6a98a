"""What a client does by itself while it is open: renew its leases, and act on what time brings."""

from __future__ import annotations

from datetime import datetime

import anyio

from mycelium import rules
from mycelium.client.base import Base, log
from mycelium.errors import MyceliumError, StaleLease
from mycelium.models import Record, Task

LONGEST_REST = 1.0
"""Seconds between two looks at what is due, at most: another process may have added something sooner."""


class Housekeeping(Base):
    """Keeps leases alive and time moving."""

    async def housekeep(self) -> int:
        """Do what time has brought: expire leases and agents, wake tasks. Returns how many records changed.

        Every open client does this in the background. Two at once do no harm: each change happens once.
        """
        due = await self.backend.due(limit=100)
        changed = 0
        for record in due.records:
            changed += await self._expire(record) is not None
        return changed

    async def _expire(self, record: Record) -> Record | None:
        if isinstance(record, Task):
            return await self._commit(lambda view: rules.expire_task(view, record.id))
        return await self._commit(lambda view: rules.expire_agent(view, record.key))

    async def keep_house(self) -> None:
        """Housekeep for ever, resting in between until something is due."""
        while True:
            try:
                await self.housekeep()
                rest = self._rest((await self.backend.due(limit=1)).next_at)
            except MyceliumError as error:
                log.warning("housekeeping failed and will be tried again: %s", error)
                rest = LONGEST_REST
            except Exception:  # noqa: BLE001 - a boundary: one record that cannot be dealt with must not end the client
                log.exception("housekeeping failed unexpectedly and will be tried again")
                rest = LONGEST_REST
            await anyio.sleep(rest)

    def _rest(self, next_at: datetime | None) -> float:
        if next_at is None:
            return LONGEST_REST
        return min(max((next_at - self._clock()).total_seconds(), 0.01), LONGEST_REST)

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
