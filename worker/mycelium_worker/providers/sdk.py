"""What the SDKs of providers have in common: how a client is set up, and how an answer is heard to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol, TypedDict, TypeVar

import httpx2

from mycelium.settings import network
from mycelium_worker.model import Busy, Turn
from mycelium_worker.providers.trouble import broken, no_such_api

STALLED_AFTER: Final = 120.0
"""Seconds without a single byte after which a stream is dead: providers send pings far more often."""
UNREADABLE: Final = (ValueError, LookupError, AttributeError, TypeError)
"""What is raised for events that are not what the API says they are."""

E_co = TypeVar("E_co", covariant=True)
E_contra = TypeVar("E_contra", contravariant=True)
E = TypeVar("E")


class Access(TypedDict):
    """What the SDKs' clients take, under the same names in each."""

    api_key: str
    base_url: str | None
    max_retries: int
    timeout: httpx2.Timeout


def access(settings: network.Claude | network.OpenAI, stalled_after: float) -> Access:
    """How to reach the provider that these settings are of."""
    return {
        # Where there is no key, none is looked for elsewhere: an endpoint of one's own may not want any.
        "api_key": settings.api_key.get_secret_value() if settings.api_key else "none",
        "base_url": settings.base_url,
        "max_retries": 0,  # the conversation waits itself, tells of it, and knows how long it may
        "timeout": httpx2.Timeout(stalled_after, connect=min(10.0, stalled_after)),
    }


class Stream(Protocol[E_co]):
    """An answer on its way, as the SDKs give it."""

    @property
    def response(self) -> httpx2.Response: ...

    def __aiter__(self) -> AsyncIterator[E_co]: ...


class Hearing(Protocol[E_contra]):
    """As much of an answer as has come."""

    @property
    def ended(self) -> bool:
        """Whether that is all of it."""
        ...

    def add(self, event: E_contra) -> None: ...

    def turn(self) -> Turn: ...


async def hear_out(stream: Stream[E], heard: Hearing[E], api: str) -> Turn:
    """The answer, once all of it has come.

    Raises:
        Busy: the stream broke, or cannot be read.
        Unusable: what answers there does not speak this API.
    """
    try:
        async for event in stream:
            heard.add(event)
        if heard.ended:
            return heard.turn()
    except UNREADABLE as error:
        raise broken(error) from error
    if "event-stream" not in stream.response.headers.get("content-type", ""):
        raise no_such_api(str(stream.response.url), api)
    raise Busy("the stream ended before the answer did")
