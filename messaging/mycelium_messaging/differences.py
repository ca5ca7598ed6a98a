"""How what is declared in RabbitMQ differs from what we want, and what to do about that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mycelium_messaging.errors import TopologyDiffers

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


def differing(differences: Sequence[Difference]) -> TopologyDiffers:
    """The error for what was declared otherwise, of which there is something."""
    by_name: dict[str, list[Difference]] = {}
    for each in differences:
        by_name.setdefault(each.name, []).append(each)
    said = [f"{name} ({'; '.join(map(str, found))})" for name, found in by_name.items()]
    return TopologyDiffers(
        f"RabbitMQ has something that was declared otherwise: {', '.join(said)}.",
        hint=remedy_for(*differences) if len(by_name) == 1 else _remedy_for_several(differences),
        differences=[
            {"name": each.name, "argument": each.argument, "wanted": each.wanted, "found": each.found}
            for each in differences
        ],
    )


def _remedy_for_several(differences: Sequence[Difference]) -> str:
    told = "`mycelium topology` says what to do about each"
    settings = _settings_for(differences)
    return f"Set {' and '.join(settings)} to match; or {told}." if settings else f"{told}."


def remedy_for(*differences: Difference, messages: int | None = None) -> str:
    """What to do about those of one queue or exchange: RabbitMQ changes no arguments of what is there."""
    away = f"{_deleting(differences[0], messages)}, and `mycelium topology --declare` makes it anew"
    settings = _settings_for(differences)
    return f"{away}; or set {' and '.join(settings)} to match." if settings else f"{away}."


def _settings_for(differences: Sequence[Difference]) -> Sequence[str]:
    """The settings that, if they were others, would make all of these agree; none where some would stay."""
    settings = [SETTINGS.get(each.argument) for each in differences]
    return () if None in settings else tuple(dict.fromkeys(filter(None, settings)))


def _deleting(difference: Difference, messages: int | None) -> str:
    if difference.kind == "exchange":  # for which rabbitmqctl has no command
        return "Delete it on RabbitMQ's management page"
    vhost = "" if difference.vhost == "/" else f" -p {difference.vhost}"
    how = f"`rabbitmqctl delete_queue{vhost} {difference.name or 'NAME'}`, or RabbitMQ's management page"
    if messages == 0:
        return f"It is empty: delete it ({how})"
    waits = "it is empty" if messages is None else f"nothing waits there any more, {messages} now"
    return f"Delete it once {waits} ({how})"
