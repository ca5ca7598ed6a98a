"""Many callers, one journey: what is asked while a batch is under way goes with the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from mycelium.errors import BackendUnavailable
from mycelium_backends.promise import Promise

Q = TypeVar("Q")
A = TypeVar("A")

Send: TypeAlias = Callable[[Sequence[Q]], Awaitable[Sequence[A]]]
MOST: Final = 256
"""Questions in one batch."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""A batch ends with the question that reaches this size."""


class Lane(Generic[Q, A]):
    """Sends batches, one after another, in the order of the questions."""

    def __init__(self, send: Send[Q, A], size: Callable[[Q], int]) -> None:
        self._send = send
        self._size = size
        self._waiting: deque[tuple[Q, Promise[A]]] = deque()
        self._batch: Sequence[tuple[Q, Promise[A]]] = ()
        self._driver: asyncio.Task[None] | None = None
        self._driving = False

    async def ask(self, question: Q) -> A:
        """The answer, or what was raised for the whole batch. Cancellation does not cut it short."""
        promise = Promise[A](asyncio.get_running_loop())
        self._waiting.append((question, promise))
        if not self._driving:
            self._driving = True
            self._driver = asyncio.create_task(self._drive(), name="mycelium-redis-lane")
            self._driver.add_done_callback(self._ended)
        return await promise.outcome()

    async def finish(self) -> None:
        """Wait until everything that was asked is answered."""
        while self._driving and self._driver is not None:
            await asyncio.wait([self._driver])

    async def _drive(self) -> None:
        while self._waiting:
            batch = self._batch = self._gather()
            try:
                answers = await self._send([question for question, _ in batch])
            except Exception as error:  # noqa: BLE001 - a boundary: whatever failed goes to the callers
                for _, promise in batch:
                    promise.fail(error)
            else:
                for (_, promise), answer in zip(batch, answers, strict=True):
                    promise.fulfil(answer)
        self._driving = False  # at once, not when the task is done: what is asked in between needs a new driver

    def _ended(self, driver: asyncio.Task[None]) -> None:
        """Tell all who wait where the driver was cancelled, as at Ctrl-C: their own cancellation does not end them."""
        if not driver.cancelled():
            return
        self._driving = False
        for _, promise in (*self._batch, *self._waiting):
            promise.fail(
                BackendUnavailable(
                    "The store was being asked when this process was ended.",
                    hint="What it was to change is changed or not; look, when it is open again.",
                )
            )
        self._waiting.clear()

    def _gather(self) -> list[tuple[Q, Promise[A]]]:
        batch: list[tuple[Q, Promise[A]]] = []
        size = 0
        while self._waiting and len(batch) < MOST and size < MOST_BYTES:
            batch.append(self._waiting.popleft())
            size += self._size(batch[-1][0])
        return batch
