"""What the broker's codes mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mycelium.settings.network import RabbitMQ
from mycelium_messaging.address import address_of
from mycelium_messaging.errors import BrokerAway, BrokerError, BrokerRefused, TopologyDiffers
from mycelium_messaging.wire import Cut

ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
PRECONDITION_FAILED: Final = 406
NOT_ALLOWED: Final = 530
INTERNAL_ERROR: Final = 541


@dataclass(frozen=True, slots=True)
class Meaning:
    """What it means that a connection is gone, for people; `says` and `hint` have places for the names in it."""

    error: type[BrokerError]
    says: str
    hint: str

    def trouble(self, settings: RabbitMQ, why: str) -> BrokerError:
        address = address_of(settings)
        says = self.says.format(address=address, vhost=settings.vhost, why=why)
        return self.error(says, hint=self.hint, address=address)


MEANINGS: Final[Mapping[int, Meaning]] = {
    ACCESS_REFUSED: Meaning(
        BrokerRefused,
        "RabbitMQ at {address} refuses the user: {why}.",
        "Correct rabbitmq.username and rabbitmq.password, or what that user may do.",
    ),
    NOT_ALLOWED: Meaning(
        BrokerRefused,
        "RabbitMQ at {address} has no virtual host {vhost!r} for this user: {why}.",
        "Correct rabbitmq.vhost, or let an administrator add it: `rabbitmqctl add_vhost`, `set_permissions`.",
    ),
    NOT_FOUND: Meaning(
        TopologyDiffers,
        "Something is missing in RabbitMQ at {address}: {why}.",
        "`mycelium topology --declare` makes the exchanges and queues.",
    ),
    PRECONDITION_FAILED: Meaning(
        BrokerAway,
        "RabbitMQ at {address} would not take what was published: {why}.",
        "Whoever published that is told; the connection is made anew.",
    ),
    INTERNAL_ERROR: Meaning(  # also what whoever consumes gets while others declare that very queue
        BrokerAway,
        "RabbitMQ at {address} ended the connection for trouble of its own: {why}.",
        "While its queues are new, this passes at once; where it does not, its log says more.",
    ),
}
"""By the broker's code."""
UNTRUSTED: Final = Meaning(
    BrokerRefused,
    "RabbitMQ at {address} is not trusted: {why}.",
    "Name in rabbitmq.ca_file whose certificates to trust, and the host as its certificate does.",
)
AWAY: Final = Meaning(
    BrokerAway,
    "RabbitMQ at {address} cannot be reached: {why}.",
    "Start it, or correct rabbitmq.host, rabbitmq.port and rabbitmq.tls.",
)
STALLED: Final = Meaning(
    BrokerAway,
    "RabbitMQ at {address} takes no messages now: memory or disk alarm ({why}).",
    "Give it memory or disk, or empty its queues: `rabbitmqctl status` shows its alarms.",
)


def trouble_of(cut: Cut, settings: RabbitMQ) -> BrokerError:
    """Why there is no connection, for people."""
    said = cut.text.lower()
    other = UNTRUSTED if "certificate" in said or "hostname mismatch" in said else AWAY
    return MEANINGS.get(cut.code, other).trouble(settings, cut.text)


def stalled(why: str, settings: RabbitMQ) -> BrokerError:
    """Why nothing can be published although there is a connection."""
    return STALLED.trouble(settings, why)
