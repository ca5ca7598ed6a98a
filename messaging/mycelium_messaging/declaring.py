"""Declaring the exchanges and queues, and finding by that what the broker has otherwise.

The broker can only be asked by declaring, and names one difference at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mycelium.settings.network import RabbitMQ
from mycelium_messaging.differences import Difference, difference_in, differing
from mycelium_messaging.refusals import PRECONDITION_FAILED
from mycelium_messaging.topology import Exchange, Queue, Topology, topology_of
from mycelium_messaging.wire import Channel, Cut, Wire


async def declare(wire: Wire, settings: RabbitMQ) -> None:
    """Make sure that all of it is there; what is there already stays as it is.

    Raises:
        TopologyDiffers: exchanges or queues were declared with other arguments; it names all of them.
        Cut: this user may not, or the connection is gone.
    """
    wanted = topology_of(settings)
    channel = await wire.open_channel()
    try:
        await _declare(channel, wanted)
    except Cut as cut:
        if cut.code != PRECONDITION_FAILED:
            raise
        if differences := await _declare_what_fits(wire, wanted):
            raise differing(differences) from None
    else:
        await channel.close()


async def _declare(channel: Channel, wanted: Topology) -> None:
    for exchange in wanted.exchanges:
        await _declare_exchange(channel, exchange)
    for queue in wanted.queues:
        await channel.declare_queue(queue.name, queue.arguments)
        await _bind(channel, queue)


async def _declare_exchange(channel: Channel, exchange: Exchange) -> None:
    await channel.declare_exchange(exchange.name, exchange.kind, auto_delete=exchange.passing)


async def _bind(channel: Channel, queue: Queue) -> None:
    for key in queue.bindings:
        await channel.bind(queue.name, queue.exchange, key)


async def _declare_what_fits(wire: Wire, wanted: Topology) -> Sequence[Difference]:
    """Make sure of all but what is there with other arguments, and say of that how it differs."""
    differences = [each for exchange in wanted.exchanges for each in await differences_of_exchange(wire, exchange)]
    foreign = {each.name for each in differences}
    for queue in wanted.queues:
        if found := await differences_of_queue(wire, queue):
            differences += found
        elif queue.exchange not in foreign:
            channel = await wire.open_channel()
            await _bind(channel, queue)
            await channel.close()
    return differences


async def differences_of_exchange(wire: Wire, exchange: Exchange) -> Sequence[Difference]:
    """How the broker's differs from this one, which is declared if it is missing. Raises Cut, as `declare`."""
    channel = await wire.open_channel()
    try:
        await _declare_exchange(channel, exchange)
    except Cut as cut:
        return [_told(cut, exchange.name)]
    await channel.close()
    return []


async def differences_of_queue(wire: Wire, queue: Queue) -> Sequence[Difference]:
    """The same for a queue, all of them: what the broker names is granted, and the broker asked again."""
    arguments: dict[str, Any] = dict(queue.arguments)
    differences: list[Difference] = []
    while len(differences) <= len(queue.arguments) + 5:
        channel = await wire.open_channel()
        try:
            await channel.declare_queue(queue.name, arguments)
        except Cut as cut:
            differences.append(_told(cut, queue.name))
            if not _grant(arguments, differences[-1]):
                break
        else:
            await channel.close()
            break
    return differences


def _told(cut: Cut, name: str) -> Difference:
    """What the broker's refusal to declare this says. Raises it where it is another."""
    if cut.code != PRECONDITION_FAILED:
        raise cut
    return replace(difference_in(cut.text), name=name)


def _grant(arguments: dict[str, Any], difference: Difference) -> bool:
    """Want what the broker has, if that can be told from its words."""
    if not difference.argument.startswith("x-"):
        return False
    if difference.found == "none":
        return arguments.pop(difference.argument, None) is not None
    value = int(difference.found) if difference.found.isdigit() else difference.found
    if arguments.get(difference.argument) == value:
        return False
    arguments[difference.argument] = value
    return True
