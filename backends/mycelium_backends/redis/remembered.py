"""What this process itself wrote last: most likely still so, and without a journey."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

from mycelium.models import Record

R = TypeVar("R", bound=Record)

MOST: Final = 2000
"""Records that are remembered."""
LONGEST: Final = 16 * 1024
"""Characters of one of them; longer ones are read anew."""


class Remembered:
    """Records by kind and key, as text: a caller may have written into what it got of them."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[str, str], str] = OrderedDict()

    def take(self, record: Record, text: str) -> None:
        """Remember this record, which was written as `text`."""
        where = (record.kind, record.key)
        self._texts.pop(where, None)
        if len(text) > LONGEST:
            return
        self._texts[where] = text
        if len(self._texts) > MOST:
            self._texts.popitem(last=False)

    def recall(self, kind: type[R], key: str) -> R | None:
        """The record, if it is remembered: those that are asked for are remembered longest."""
        where = (kind.kind, key)
        text = self._texts.get(where)
        if text is None:
            return None
        self._texts.move_to_end(where)
        return kind.model_validate_json(text)

    def forget(self, kind: str, key: str) -> None:
        """It has changed."""
        self._texts.pop((kind, key), None)
