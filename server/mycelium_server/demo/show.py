"""Showing a survey as it goes on: a live view on a terminal, lines anywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

import anyio
from rich.console import Console
from rich.live import Live

from mycelium_server.demo.frame import Frame
from mycelium_server.demo.state import Happening, State
from mycelium_server.demo.values import printable

REDRAW: Final = 0.1
"""Seconds between two frames."""


class Screen(Console):
    """A console that falls silent when nobody reads it any more, so that the work goes on."""

    def on_broken_pipe(self) -> None:
        """Called when a write has failed, as in `mycelium demo | head`."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


Tell: TypeAlias = Callable[[Happening], None]
"""Takes each thing that happens, after the state has taken it in."""


def shown(console: Console, title: str, state: State) -> AbstractAsyncContextManager[Tell]:
    """Show the survey for the time of this context, in the way that fits where the output goes."""
    return _live(console, title, state) if console.is_terminal else _lines(console, title)


@asynccontextmanager
async def _live(console: Console, title: str, state: State) -> AsyncGenerator[Tell]:
    began = time.monotonic()

    def frame() -> Frame:
        return Frame(title, state, time.monotonic() - began)

    async def redraw(live: Live) -> None:
        while True:
            live.update(frame(), refresh=True)
            await anyio.sleep(REDRAW)

    with Live(frame(), console=console, auto_refresh=False) as live:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(redraw, live)
            try:
                yield _ignore
            finally:
                tasks.cancel_scope.cancel()
        live.update(frame(), refresh=True)


def _ignore(_happening: Happening) -> None:
    """The live view draws from the state."""


@asynccontextmanager
async def _lines(console: Console, title: str) -> AsyncGenerator[Tell]:
    def tell(happening: Happening) -> None:
        said = f"{happening.time.astimezone():%H:%M:%S}  {happening.agent or '-':<10}{printable(happening.text)}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)

    console.print(title, markup=False, highlight=False, soft_wrap=True)
    yield tell
