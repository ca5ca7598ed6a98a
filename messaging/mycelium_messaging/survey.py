"""What the broker has, beside what it should have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mycelium.settings.network import RabbitMQ
from mycelium_messaging.differences import Difference, difference_in
from mycelium_messaging.refusals import NOT_FOUND, PRECONDITION_FAILED, trouble_of
from mycelium_messaging.topology import Exchange, Queue, declare, topology_of
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
        TopologyDiffers: only where it declares.
    """
    hush_pika()
    try:
        async with connected(settings, name) as wire:
            if declares:
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
        await channel.declare_exchange(exchange.name, exchange.kind, auto_delete=exchange.passing)
    except Cut as cut:
        if cut.code == NOT_FOUND:
            return standing("missing")
        if cut.code == PRECONDITION_FAILED:
            return standing("differs", [difference_in(cut.text)])
        raise
    await channel.close()
    return standing("ok")


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
    differences = await _differences(wire, queue)
    return standing("differs" if differences else "ok", counts, differences)


async def _differences(wire: Wire, queue: Queue) -> Sequence[Difference]:
    """All of them: the broker names one at a time, so each is granted, and the broker asked again.

    It can only be asked by declaring, which makes nothing, since the queue is there.
    """
    arguments: dict[str, Any] = dict(queue.arguments)
    differences: list[Difference] = []
    while len(differences) <= len(queue.arguments) + 5:
        channel = await wire.open_channel()
        try:
            await channel.declare_queue(queue.name, arguments)
        except Cut as cut:
            if cut.code != PRECONDITION_FAILED:
                raise
            found = difference_in(cut.text)
            differences.append(found)
            if not _grant(arguments, found):
                break
        else:
            await channel.close()
            break
    return differences


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
