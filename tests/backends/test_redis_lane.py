"""Questions that go in batches: whoever asks is answered, also where the event loop is being ended."""

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from mycelium.errors import BackendUnavailable
from mycelium_backends.redis.lane import Lane
from tests.support.store import PATIENCE


@pytest.mark.parametrize("when", ["at once", "under way"])
async def test_whoever_asks_is_told_when_all_tasks_are_cancelled_as_at_ctrl_c(when: str) -> None:
    asked = anyio.Event()

    async def send(_: Sequence[int]) -> Sequence[int]:
        asked.set()
        await anyio.sleep_forever()
        return []

    lane = Lane[int, int](send, lambda _: 1)
    before = asyncio.all_tasks()
    callers = [asyncio.create_task(lane.ask(number)) for number in range(3)]
    with anyio.fail_after(PATIENCE):
        await asyncio.sleep(0)
        if when == "under way":
            await asked.wait()
            callers.append(asyncio.create_task(lane.ask(3)))
            await asyncio.sleep(0)
        assert asked.is_set() == (when == "under way")
        for task in asyncio.all_tasks() - before:
            task.cancel()
        answers = await asyncio.gather(*callers, return_exceptions=True)
        await lane.finish()
    assert {type(each) for each in answers} == {BackendUnavailable}
