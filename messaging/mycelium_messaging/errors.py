"""What can go wrong between us and RabbitMQ, as leaves of the one tree.

MyceliumError
├── InvalidInput
│   └── BadMessage          its own code          what came is no message; it belongs with the dead letters
└── BrokerError
    ├── BrokerAway          broker_unavailable    nobody answers, or the answer did not come: try again
    ├── BrokerRefused       broker_refused        it answers, and will not have us: no use before somebody mends it
    ├── TopologyDiffers     topology_differs      a queue or exchange of this name was declared otherwise
    ├── Unroutable          unroutable            no queue takes messages with this routing key
    ├── QueueFull           queue_full            a queue refused the message: as a rule it is full
    └── TooLargeForBroker   message_too_large     the broker takes no message of this size: no use trying again
"""

from __future__ import annotations

from typing import Final

from mycelium.errors import InvalidInput, MyceliumError


class BrokerError(MyceliumError):
    """RabbitMQ cannot do its part."""

    code = "broker_error"


class BrokerAway(BrokerError):
    """There is no connection, or it was lost before the answer came. What was sent may have arrived."""

    code = "broker_unavailable"


class BrokerRefused(BrokerError):
    """The broker is there, and refuses us."""

    code = "broker_refused"


class TopologyDiffers(BrokerError):
    """The broker has a queue or exchange of this name with other arguments."""

    code = "topology_differs"


class Unroutable(BrokerError):
    """The broker has no queue for this routing key; it gave the message back."""

    code = "unroutable"


class QueueFull(BrokerError):
    """A queue did not take the message, which is in none, or in some of the queues it was for.

    RabbitMQ does not say why: the queue is full, or, rarely, cannot keep anything now.
    """

    code = "queue_full"


class TooLargeForBroker(BrokerError):
    """The message is larger than the broker's `max_message_size`."""

    code = "message_too_large"


LASTING: Final = (ValueError, TooLargeForBroker)
"""Errors of a message that stay however often it is sent."""


class BadMessage(InvalidInput):
    """What came is not a message that anybody here can act on."""

    def __init__(self, code: str, says: str, **data: object) -> None:
        super().__init__(says, hint="Mend it where it is sent from; here it goes to the dead letters.", **data)
        self.reason = code
        self.says = says

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "code": self.reason}
