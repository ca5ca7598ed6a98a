"""The worker: as many tasks at once as it has slots, from any number of sources."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import anyio

from mycelium import Mycelium
from mycelium_worker.attempt import Limits
from mycelium_worker.doing import Doer
from mycelium_worker.feeds import Feed, Feeds
from mycelium_worker.lost import watch_leases
from mycelium_worker.tally import Outcome, Tally

if TYPE_CHECKING:
    from mycelium_worker.executors.registry import Executors
    from mycelium_worker.model import Model
    from mycelium_worker.source import Job, Source
    from mycelium_worker.toolbox import Toolbox

log = logging.getLogger("mycelium.worker")

LET_GO_WITHIN: Final = 5.0
"""Seconds for sources to let go of what they fetched, and for tasks to be given back, at the end."""
LOOK_AGAIN: Final = 0.25
"""Seconds between two looks at whether sources are empty, which some of them learn late."""


class Worker:
    """Takes jobs from its sources and has executors do them, until it is told to stop.

    A job is settled last, when its outcome is in the store. `hear` is told of every outcome.
    """

    def __init__(
        self,
        client: Mycelium,
        sources: Sequence[Source],
        executors: Executors,
        toolbox: Toolbox,
        *,
        model: Model | None = None,
        limits: Limits | None = None,
        concurrency: int = 4,
        drain_seconds: float = 30.0,
        hear: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.client = client
        self.sources = sources
        self.concurrency = concurrency
        self.tally = Tally()
        self._doer = Doer(client, executors, toolbox, model, limits or Limits())
        self._feeds = Feeds(sources)
        self._drain_seconds = drain_seconds
        self._hear = hear
        self._stopping = anyio.Event()
        self._hurrying = anyio.Event()
        self._taking: set[anyio.CancelScope] = set()

    @property
    def running(self) -> int:
        """How many tasks are under way."""
        return len(self._doer.under_way)

    @property
    def stopping(self) -> bool:
        """Whether it takes nothing more."""
        return self._stopping.is_set()

    @property
    def buried(self) -> Counter[str]:
        """How much its sources put with the dead letters, by reason."""
        return sum((Counter(source.buried) for source in self.sources), Counter[str]())

    def stop(self) -> None:
        """Take nothing more; what runs has `drain_seconds` to end, then it is given back."""
        self._stopping.set()
        self._feeds.end()
        for taking in list(self._taking):
            taking.cancel()

    def hurry(self) -> None:
        """Stop, and give back at once what runs."""
        self.stop()
        self._hurrying.set()

    async def run(self, *, once: bool = False, until_empty: bool = False) -> Tally:
        """Work until stopped, or only `once`, or `until_empty`: until there is nothing to take and nothing runs."""
        count = 1 if once else self.concurrency
        async with anyio.create_task_group() as helpers:
            helpers.start_soon(watch_leases, self.client, self._doer.under_way)
            for feed in self._feeds.all:
                helpers.start_soon(self._listen, feed)
            if until_empty:
                helpers.start_soon(self._stop_when_empty, count)
            async with anyio.create_task_group() as slots:
                helpers.start_soon(self._end_what_is_late, slots.cancel_scope)
                for _ in range(count):
                    slots.start_soon(self._slot, once, until_empty)
                await self._stopping.wait()
                await self._drain_sources()
            helpers.cancel_scope.cancel()
        return self.tally

    async def _slot(self, once: bool, until_empty: bool) -> None:
        """Do one job after another."""
        while (feed := await self._feeds.next()) is not None:
            rung = feed.rung
            job = await self._take(feed)
            if job is None:
                self._feeds.close(feed, rung)
                continue
            if self.stopping:
                await self._doer.give_back(job)
                return
            self._feeds.wake()  # there may be more where this came from
            self._tell(await self._doer.do(job))
            if once:
                self.stop()
            elif until_empty:
                self._feeds.open_all()  # others may be ready by what this one came to

    async def _take(self, feed: Feed) -> Job | None:
        """The feed's next job; None where there is none, or when the worker stops."""
        try:
            with anyio.CancelScope() as taking:
                self._taking.add(taking)
                feed.looking += 1
                try:
                    job = await feed.source.take()
                finally:
                    feed.looking -= 1
                    self._taking.discard(taking)
                feed.recover()
                return job
        except Exception as error:  # noqa: BLE001  the boundary to sources: one that fails is asked again
            feed.stumble(error)
        return None

    def _tell(self, outcome: Outcome) -> None:
        self.tally.count(outcome)
        if self._hear is not None:
            self._hear(outcome)

    async def _listen(self, feed: Feed) -> None:
        """Open the feed whenever its source calls."""
        while True:
            try:
                await feed.source.ready()
            except Exception as error:  # noqa: BLE001  the boundary to sources, as above
                feed.stumble(error)
                await feed.rest()
                continue
            self._feeds.open(feed)
            await feed.closed.wait()
            await feed.rest()

    async def _stop_when_empty(self, slots: int) -> None:
        while self._feeds.waiting < slots or not all(source.empty for source in self.sources):
            self._feeds.rested.clear()
            with anyio.move_on_after(LOOK_AGAIN):
                await self._feeds.rested.wait()
        self.stop()

    async def _drain_sources(self) -> None:
        async with anyio.create_task_group() as draining:
            for source in self.sources:
                draining.start_soon(_drain, source)

    async def _end_what_is_late(self, slots: anyio.CancelScope) -> None:
        """Give back what still runs when the time for draining is over; what cannot be given back is left."""
        await self._stopping.wait()
        with anyio.move_on_after(self._drain_seconds):
            await self._hurrying.wait()
        for doing in list(self._doer.under_way):
            doing.stop("given back")
        await anyio.sleep(LET_GO_WITHIN)
        slots.cancel()


async def _drain(source: Source) -> None:
    with anyio.move_on_after(LET_GO_WITHIN):
        try:
            await source.drain()
        except Exception:  # the boundary to sources: the worker ends all the same
            log.exception("source %s did not drain", source.name)
