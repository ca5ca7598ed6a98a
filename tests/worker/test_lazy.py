"""What is opened when it is first needed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from mycelium_worker.lazy import LazyToolbox, lazily
from mycelium_worker.toolbox import Toolbox
from tests.worker.loop import PATIENCE, NoTools


class Opening:
    """Counts how often it was opened and closed, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.opened = self.closed = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Toolbox]:
        if self.failures:
            self.failures -= 1
            raise OSError("no such program")
        self.opened += 1
        try:
            yield NoTools()
        finally:
            self.closed += 1


async def test_nothing_is_opened_that_nobody_asks_for() -> None:
    opening = Opening()
    async with lazily(opening.open):
        await anyio.lowlevel.checkpoint()
    assert (opening.opened, opening.closed) == (0, 0)


async def test_all_who_ask_share_one_and_it_is_closed_at_the_end() -> None:
    opening = Opening()
    with anyio.fail_after(PATIENCE):
        async with lazily(opening.open) as lazy:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(lazy.get)
            assert (opening.opened, opening.closed) == (1, 0)
    assert (opening.opened, opening.closed) == (1, 1)


async def test_what_cannot_be_opened_is_told_and_tried_again() -> None:
    opening = Opening(failures=1)
    with anyio.fail_after(PATIENCE):
        async with lazily(opening.open) as lazy:
            box = LazyToolbox(lazy)
            reply = await box.call("x", {})
            assert (reply.is_error, reply.again) == (True, True)
            assert "no such program" in reply.text
            assert (await box.call("x", {})).text == "no tool 'x'"


async def test_who_asks_for_tools_of_a_toolbox_that_cannot_be_opened_hears_why() -> None:
    opening = Opening(failures=1)
    with anyio.fail_after(PATIENCE):
        async with lazily(opening.open) as lazy:
            with pytest.raises(OSError, match="no such program"):
                await LazyToolbox(lazy).tools()
