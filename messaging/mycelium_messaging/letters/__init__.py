"""Dead letters: messages that nobody here can act on, kept with the reason until a person looks.

Ours carry the reason in headers (`x-mycelium-…`). Those that RabbitMQ puts there itself (a message that waited too
long, or was rejected) carry its own header `x-death`. Both are read into the same `Letter`.
"""

from __future__ import annotations

from mycelium_messaging.letters.burial import bury
from mycelium_messaging.letters.queue import (
    Again,
    Fate,
    count_letters,
    drop_letters,
    find_letters,
    list_letters,
    replay_letters,
)

__all__ = [
    "Again",
    "Fate",
    "bury",
    "count_letters",
    "drop_letters",
    "find_letters",
    "list_letters",
    "replay_letters",
]
