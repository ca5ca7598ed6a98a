"""What the broker has, beside what it should have."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from mycelium.settings.network import RabbitMQ
from mycelium_messaging.declaring import declare, differences_of_exchange, differences_of_queue
from mycelium_messaging.differences import Difference, difference_in
from mycelium_messaging.errors import TopologyDiffers
from mycelium_messaging.refusals import NOT_FOUND, trouble_of
from mycelium_messaging.topology import Exchange, Queue, topology_of
from mycelium_messaging.wire import Cut, Wire, connected, hush_pika

State = Literal["ok", "missing", "differs"]
RESOURCE_LOCKED: Final = 405


@dataclass(frozen=True, slots=True)
class Standing:
    """One exchange or queue: how it should be, and how it is."""

    name: str
    kind: str
    bindings: Sequence[str]
    is_queue: bool
    state: State
    messages: int | None = None
    """That wait for somebody; what consumers hold is not among them."""
    consumers: int | None = None
    differences: Sequence[Difference] = ()


async def survey(settings: RabbitMQ, name: str, *, declares: bool = False) -> Sequence[Standing]:
    """How each exchange and queue stands. Changes nothing, unless it `declares` what is missing first.

    Raises:
        BrokerAway, BrokerRefused
    """
    hush_pika()
    try:
        async with connected(settings, name) as wire:
            if declares:
                with suppress(TopologyDiffers):  # which is what is told below
                    await declare(wire, settings)
            wanted = topology_of(settings)
            exchanges = [await _exchange(wire, each) for each in wanted.exchanges]
            return [*exchanges, *[await _queue(wire, each) for each in wanted.queues]]
    except Cut as cut:
        raise trouble_of(cut, settings) from None


async def _exchange(wire: Wire, exchange: Exchange) -> Standing:
    def standing(state: State, differences: Sequence[Difference] = ()) -> Standing:
        return Standing(exchange.name, exchange.kind, (), False, state, differences=differences)

    channel = await wire.open_channel()
    try:
        await channel.has_exchange(exchange.name)
    except Cut as cut:
        if cut.code == NOT_FOUND:
            return standing("missing")
        raise
    await channel.close()
    differences = await differences_of_exchange(wire, exchange)
    return standing("differs" if differences else "ok", differences)


async def _queue(wire: Wire, queue: Queue) -> Standing:
    def standing(state: State, counts: tuple[int, int] | None = None, found: Sequence[Difference] = ()) -> Standing:
        messages, consumers = counts or (None, None)
        return Standing(queue.name, queue.kind, queue.bindings, True, state, messages, consumers, found)

    channel = await wire.open_channel()
    try:
        counts = await channel.count(queue.name)
    except Cut as cut:
        if cut.code == NOT_FOUND:
            return standing("missing")
        if cut.code == RESOURCE_LOCKED:
            return standing("differs", found=[difference_in(cut.text)])
        raise
    await channel.close()
    differences = await differences_of_queue(wire, queue)
    return standing("differs" if differences else "ok", counts, differences)
