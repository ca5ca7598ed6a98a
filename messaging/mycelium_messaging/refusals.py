"""What the broker's codes mean, and what to do about them."""

from __future__ import annotations

import re
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

SETTINGS: Final = {
    "x-queue-type": "rabbitmq.queue_type",
    "x-dead-letter-strategy": "rabbitmq.queue_type",  # which only quorum queues have
    "x-message-ttl": "rabbitmq.message_ttl_seconds (of which RabbitMQ has thousandths)",
    "x-max-length": "rabbitmq.max_length",
}
"""Which setting an argument comes from."""
_ARGUMENT: Final = re.compile(
    r"inequivalent arg '(?P<arg>[^']+)' for (?P<kind>queue|exchange) '(?P<name>[^']*)' in vhost '(?P<vhost>[^']*)': "
    r"received (?P<wanted>.*?) but current is (?P<found>.*)",
    re.DOTALL,
)


def trouble_of(cut: Cut, settings: RabbitMQ) -> BrokerError:
    """Why there is no connection, for people."""
    address = address_of(settings)
    if cut.code == ACCESS_REFUSED:
        return BrokerRefused(
            f"RabbitMQ at {address} refuses the user: {cut.text}.",
            hint="Correct rabbitmq.username and rabbitmq.password, or what that user may do.",
            address=address,
        )
    if cut.code == NOT_ALLOWED:
        return BrokerRefused(
            f"RabbitMQ at {address} has no virtual host {settings.vhost!r} for this user: {cut.text}.",
            hint="Correct rabbitmq.vhost, or let an administrator add it: `rabbitmqctl add_vhost`, `set_permissions`.",
            address=address,
        )
    if cut.code == NOT_FOUND:
        return TopologyDiffers(
            f"Something is missing in RabbitMQ at {address}: {cut.text}.",
            hint="`mycelium topology --declare` makes the exchanges and queues.",
            address=address,
        )
    if cut.code == PRECONDITION_FAILED:
        return BrokerAway(
            f"RabbitMQ at {address} would not take what was published: {cut.text}.",
            hint="Whoever published that is told; the connection is made anew.",
            address=address,
        )
    if cut.code == INTERNAL_ERROR:  # also what whoever consumes gets while others declare that very queue
        return BrokerAway(
            f"RabbitMQ at {address} ended the connection for trouble of its own: {cut.text.rstrip('.')}.",
            hint="While its queues are new, this passes at once; where it does not, its log says more.",
            address=address,
        )
    if "certificate" in cut.text.lower() or "hostname mismatch" in cut.text.lower():
        return BrokerRefused(
            f"RabbitMQ at {address} is not trusted: {cut.text}.",
            hint="Name in rabbitmq.ca_file whose certificates to trust, and the host as its certificate does.",
            address=address,
        )
    return BrokerAway(
        f"RabbitMQ at {address} cannot be reached: {cut.text}.",
        hint="Start it, or correct rabbitmq.host, rabbitmq.port and rabbitmq.tls.",
        address=address,
    )


def stalled(why: str, settings: RabbitMQ) -> BrokerAway:
    """Why nothing can be published although there is a connection."""
    address = address_of(settings)
    return BrokerAway(
        f"RabbitMQ at {address} takes no messages now: memory or disk alarm ({why}).",
        hint="Give it memory or disk, or empty its queues: `rabbitmqctl status` shows its alarms.",
        address=address,
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """What the broker has otherwise than we want it; `argument` is empty where it did not say that."""

    name: str
    argument: str
    wanted: str
    found: str
    says: str
    kind: str = "queue"
    vhost: str = "/"

    def __str__(self) -> str:
        if not self.argument:
            return self.says
        return f"{self.argument} is {self.found} there, and {self.wanted} here"


def difference_in(text: str) -> Difference:
    """What a refusal to declare says."""
    found = _ARGUMENT.search(text)
    if found is None:
        return Difference("", "", "", "", text.removeprefix("PRECONDITION_FAILED - "))
    wanted, there = _plain(found["wanted"]), _plain(found["found"])
    return Difference(found["name"], found["arg"], wanted, there, text, found["kind"], found["vhost"])


def _plain(value: str) -> str:
    """`the value 'quorum' of type 'longstr'` as `quorum`."""
    quoted = re.search(r"value '([^']*)'", value)
    return quoted[1] if quoted else value.strip().strip("'")


def differing(text: str) -> TopologyDiffers:
    """The error for a refusal to declare."""
    difference = difference_in(text)
    return TopologyDiffers(
        f"{difference.name or 'What is declared'} is not as it should be: {difference}.",
        hint=remedy_for(difference),
        queue=difference.name or None,
        argument=difference.argument or None,
        wanted=difference.wanted or None,
        found=difference.found or None,
    )


def remedy_for(*differences: Difference, messages: int | None = None) -> str:
    """What to do about those of one queue or exchange: RabbitMQ changes no arguments of what is there."""
    away = f"{_deleting(differences[0], messages)}, and `mycelium topology --declare` makes it anew"
    settings = [SETTINGS.get(each.argument) for each in differences]
    if None in settings:
        return f"{away}."
    return f"{away}; or set {' and '.join(dict.fromkeys(filter(None, settings)))} to match."


def _deleting(difference: Difference, messages: int | None) -> str:
    if difference.kind == "exchange":  # for which rabbitmqctl has no command
        return "Delete it on RabbitMQ's management page"
    vhost = "" if difference.vhost == "/" else f" -p {difference.vhost}"
    how = f"`rabbitmqctl delete_queue{vhost} {difference.name or 'NAME'}`, or RabbitMQ's management page"
    if messages == 0:
        return f"It is empty: delete it ({how})"
    waits = "it is empty" if messages is None else f"nothing waits there any more, {messages} now"
    return f"Delete it once {waits} ({how})"
