"""Which sources may have something, and which slots wait for that."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence

import anyio
import anyio.lowlevel

from mycelium import MyceliumError
from mycelium_worker.patience import pauses
from mycelium_worker.source import Source

log = logging.getLogger("mycelium.worker")


class Feed:
    """A source, and whether it has been found empty since it last called."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rung = 0
        """How often it was opened: who finds it empty must have begun to look after the last time."""
        self.closed = asyncio.Event()
        self.looking = 0
        """How many slots look at it just now."""
        self._pauses: Iterator[float] | None = None
        self._pause = 0.0

    @property
    def may_have_more(self) -> bool:
        """Whether one more slot should look: where the last look found nothing, one at a time is enough."""
        return not self.looking or not self.source.empty

    def stumble(self, error: Exception) -> None:
        """The source has failed: it is left alone for a while, longer each time."""
        known = isinstance(error, MyceliumError)
        if self._pauses is None:
            self._pauses = pauses()
            log.warning("source %s failed and will be asked again: %s", self.source.name, error, exc_info=not known)
        if not self._pause:
            self._pause = next(self._pauses)

    def recover(self) -> None:
        """The source is well."""
        if self._pauses is not None:
            self._pauses = None
            log.warning("source %s is well again", self.source.name)

    async def rest(self) -> None:
        """Leave it alone for as long as it stumbled."""
        pause, self._pause = self._pause, 0.0
        await anyio.sleep(pause)


class Feeds:
    """Hands sources that may have something to slots that have nothing to do, one slot at a time until there is some.

    A slot that found something wakes the next one, so that one new task does not send all of them looking.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.all = [Feed(source) for source in sources]
        self._open: deque[Feed] = deque()
        self._waiting: deque[asyncio.Event] = deque()
        self._over = False
        self.rested = asyncio.Event()
        """Set whenever a slot goes to wait."""

    @property
    def waiting(self) -> int:
        """How many slots have nothing to do; none, while some source may have something."""
        return 0 if self._open else len(self._waiting)

    def open(self, feed: Feed) -> None:
        """This source may have something."""
        feed.rung += 1
        if feed not in self._open:
            feed.closed.clear()
            self._open.append(feed)
        self.wake()

    def open_all(self) -> None:
        """Any of them may have something."""
        for feed in self.all:
            self.open(feed)

    def close(self, feed: Feed, rung: int) -> None:
        """This source had nothing for a slot that looked when it had been opened `rung` times."""
        if feed.rung == rung and feed in self._open:
            self._open.remove(feed)
            feed.closed.set()

    def wake(self) -> None:
        """Let one slot look, if any waits."""
        if self._waiting and self._open:
            self._waiting.popleft().set()

    def end(self) -> None:
        """There is nothing more to do for any slot."""
        self._over = True
        for waiting in self._waiting:
            waiting.set()

    async def next(self) -> Feed | None:
        """A source that may have something, each in its turn; None at the end."""
        await anyio.lowlevel.checkpoint()  # a store in memory never waits, and others want to live, too
        while not self._over:
            for _ in range(len(self._open)):
                self._open.rotate(-1)
                if self._open[-1].may_have_more:
                    return self._open[-1]
            woken = asyncio.Event()
            self._waiting.append(woken)
            self.rested.set()
            await woken.wait()
        return None
