"""That a connection or channel is gone, and why."""

from __future__ import annotations

from typing import Any, Final

CLOSING: Final = 2.0
"""Seconds that the broker gets to say goodbye; a connection that hangs is then dropped."""


class Cut(Exception):
    """The connection or channel is gone. `code` is the broker's, or 0 if it said nothing; `text` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}" if code else text)
        self.code = code
        self.text = text.rstrip(".")


def cut_by(reason: BaseException) -> Cut:
    """Why it is gone, from what pika says, which wraps errors in errors, and repeats them in texts."""
    code = getattr(reason, "reply_code", 0)
    if code:
        return Cut(code, str(getattr(reason, "reply_text", "")))
    said = repr(reason)
    for number, word in ((403, "ACCESS_REFUSED"), (530, "NOT_ALLOWED")):
        if word in said:
            return Cut(number, said[said.index(word) :].split('"')[0].rstrip("')"))
    return Cut(0, _innermost(reason))


def _innermost(reason: BaseException) -> str:
    inner: Any = reason
    while (next_one := _inside(inner)) is not None:
        inner = next_one
    said = str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
    return "it does not answer in time" if "Timeout" in said else said  # which pika follows with its addresses


def _inside(reason: Any) -> BaseException | None:
    """The error that this one of pika's was made of."""
    several = getattr(reason, "exceptions", None) or ()
    inner = several[-1] if several else getattr(reason, "exception", None)
    if inner is None and reason.args and isinstance(reason.args[-1], BaseException):
        inner = reason.args[-1]
    return inner if isinstance(inner, BaseException) and inner is not reason else None
