"""Ending a run in good order when somebody wants it to end, so that nothing of it is left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
import typer

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


async def unless_stopped(run: Callable[[], Awaitable[T]]) -> T:
    """What the run gives. A signal to stop cancels it once; those that follow do not disturb it in clearing up.

    Raises:
        Exit: it was stopped; with the code that a shell gives to such an end.
    """
    loop = asyncio.get_running_loop()
    stopped: list[signal.Signals] = []
    with anyio.CancelScope() as scope:

        def stop(number: signal.Signals) -> None:
            stopped.append(number)
            scope.cancel()

        for each in SIGNALS:
            loop.add_signal_handler(each, stop, each)
        try:
            return await run()
        finally:
            for each in SIGNALS:
                loop.remove_signal_handler(each)
                if stopped:
                    signal.signal(each, signal.SIG_IGN)  # the process ends now, as it was told
    raise typer.Exit(128 + stopped[0])
