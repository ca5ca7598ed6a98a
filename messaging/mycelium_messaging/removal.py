"""Taking exchanges and queues away again, with whatever is in them."""

from __future__ import annotations

from mycelium_messaging.connection import Broker
from mycelium_messaging.topology import topology_of


async def remove_topology(broker: Broker) -> None:
    """Delete all that these settings declare. What is not there is no mistake.

    Only for names that nobody else uses: nothing is asked, and nothing is kept.

    Raises:
        BrokerAway, BrokerRefused: it could not be deleted.
    """
    topology = topology_of(broker.settings)
    async with broker.channel() as channel:
        for queue in topology.queues:
            await channel.delete_queue(queue.name)
        for exchange in topology.exchanges:
            await channel.delete_exchange(exchange.name)
