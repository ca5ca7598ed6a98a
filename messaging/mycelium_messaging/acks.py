"""Which deliveries are acked together: the broker takes all up to one in a single frame."""

from __future__ import annotations

from collections.abc import Iterator


class Acks:
    """The deliveries of one channel, by their tags, which only grow, and those among them whose acks gather."""

    def __init__(self) -> None:
        self._unsettled: dict[int, None] = {}
        self._gathered: list[int] = []

    def __len__(self) -> int:
        """How many acks have gathered."""
        return len(self._gathered)

    def came(self, tag: int) -> None:
        """The broker waits for this one from now on."""
        self._unsettled[tag] = None

    def gather(self, tag: int) -> None:
        """This one is to be acked."""
        del self._unsettled[tag]
        self._gathered.append(tag)

    def refused(self, tag: int) -> None:
        """The broker has been told that this one is not taken."""
        del self._unsettled[tag]

    def told(self) -> Iterator[tuple[int, bool]]:
        """What the broker is to be told of all that have gathered: a tag, and whether all up to it are acked."""
        gathered, self._gathered = sorted(self._gathered), []
        oldest = next(iter(self._unsettled), None)
        together = [tag for tag in gathered if oldest is None or tag < oldest]
        if together:
            yield together[-1], True
        yield from ((tag, False) for tag in gathered[len(together) :])
