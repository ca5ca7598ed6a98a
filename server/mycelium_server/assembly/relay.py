"""A store that is open anyway, and RabbitMQ: what the log tells goes out while it is this process's turn."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mycelium import Mycelium, MyceliumError

if TYPE_CHECKING:
    from mycelium.settings.network import RabbitMQ

log = logging.getLogger("mycelium.server")


@asynccontextmanager
async def relaying(m: Mycelium, settings: Callable[[], RabbitMQ]) -> AsyncGenerator[None]:
    """Relay in the background for the time of this context, if a broker is configured.

    The settings are read in the background, too: neither they nor a broker that is away hold anybody up.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_relay, m, settings)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def _relay(m: Mycelium, settings: Callable[[], RabbitMQ]) -> None:
    try:
        found = await anyio.to_thread.run_sync(settings)
        if found.host is None:
            return
        from mycelium_messaging.service import open_relay

        async with open_relay(m, found):
            await anyio.sleep_forever()
    except MyceliumError as error:
        log.error("nothing is sent to RabbitMQ: %s", error)  # noqa: TRY400 - the error says it all
    except Exception:  # a boundary: the store serves its agents, whatever is wrong with messages
        log.exception("nothing is sent to RabbitMQ any more")
