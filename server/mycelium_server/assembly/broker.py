"""RabbitMQ, for commands that look at it or mend something there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mycelium.errors import MyceliumError
from mycelium.place import Finding

if TYPE_CHECKING:
    from mycelium.settings.network import RabbitMQ
    from mycelium_messaging.connection import Broker
    from mycelium_messaging.letter import Letter
    from mycelium_messaging.letters import Again
    from mycelium_messaging.survey import Standing

NAME = "mycelium command"
SUBJECT = "RabbitMQ"


async def survey_topology(settings: RabbitMQ, *, declares: bool) -> Sequence[Standing]:
    """How the exchanges and queues stand. Raises what `mycelium_messaging.survey` does, and InvalidConfig."""
    from mycelium_messaging.survey import survey

    return await survey(settings, NAME, declares=declares)


async def examine_broker(settings: RabbitMQ) -> Finding | None:
    """Whether RabbitMQ answers, and under which names others would meet us there; None if none is configured."""
    from mycelium_messaging.address import address_of
    from mycelium_messaging.survey import survey

    if settings.host is None:
        return None
    names = f"{address_of(settings)}, exchange {settings.exchange}, queues {settings.queue_prefix}.*"
    try:
        with anyio.fail_after(settings.connection_timeout_seconds):
            found = await survey(settings, NAME)
    except TimeoutError:
        says = f"{names}: no answer within {settings.connection_timeout_seconds:g} s"
        return Finding(SUBJECT, says, "fail", "Start it, or correct rabbitmq.host, rabbitmq.port and rabbitmq.tls.")
    except MyceliumError as error:
        return Finding(SUBJECT, f"{names}: {error.code}: {error.message}", "fail", error.hint)
    if any(each.state == "differs" for each in found):
        return Finding(
            SUBJECT, f"{names}: some were declared otherwise", "fail", "`mycelium topology` says what to do."
        )
    missing = any(each.state == "missing" for each in found)
    return Finding(SUBJECT, f"{names}: it answers{', not all of these are there yet' if missing else ''}")


def remedy(standing: Standing) -> str:
    """What to do about an exchange or a queue."""
    from mycelium_messaging.differences import remedy_for

    if standing.state == "missing":
        return "`mycelium topology --declare` makes it."
    return remedy_for(*standing.differences, messages=standing.messages) if standing.differences else ""


async def dead_letters(settings: RabbitMQ) -> tuple[Sequence[Letter], int]:
    """The oldest thousand dead letters, and how many there are."""
    from mycelium_messaging.letters import count_letters, list_letters

    async with _visit(settings) as broker:
        there = await count_letters(broker)
        return await list_letters(broker), there


async def letters_named(settings: RabbitMQ, ids: Collection[str]) -> Sequence[Letter]:
    """Those of all dead letters that have these ids."""
    from mycelium_messaging.letters import find_letters

    async with _visit(settings) as broker:
        return await find_letters(broker, ids)


async def replay(settings: RabbitMQ, ids: Collection[str] | None, again: Again | None = None) -> Sequence[Letter]:
    """Send dead letters out again (None: all). One about a task goes to `again` first, which may see to it itself."""
    from mycelium_messaging.letters import replay_letters

    async with _visit(settings) as broker:
        return await replay_letters(broker, ids, again)


async def drop(settings: RabbitMQ, ids: Collection[str] | None) -> Sequence[Letter]:
    """Remove dead letters for good (None: all)."""
    from mycelium_messaging.letters import drop_letters

    async with _visit(settings) as broker:
        return await drop_letters(broker, ids)


@asynccontextmanager
async def _visit(settings: RabbitMQ) -> AsyncGenerator[Broker]:
    """The broker as it is: nothing is declared, and one that is away is not waited for."""
    from mycelium_messaging.connection import open_broker

    async with open_broker(settings, name=NAME, declares=False, tells=False) as broker:
        await broker.connect_now()
        yield broker
