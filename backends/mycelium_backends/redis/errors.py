"""From what Redis says to what Mycelium says."""

from __future__ import annotations

from typing import Final

from redis import exceptions as said
from redis.sentinel import MasterNotFoundError, SlaveNotFoundError

from mycelium.errors import (
    BackendUnavailable,
    MyceliumError,
    SchemaTooNew,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)

PASSING: Final = (
    said.ConnectionError,
    said.TimeoutError,
    said.TryAgainError,
    said.ClusterDownError,
    TimeoutError,
    OSError,
)
"""What may be over when one asks again. A server that is loading its data is among them."""
REFUSED: Final = (said.AuthenticationError, said.AuthenticationWrongNumberOfArgsError, said.NoPermissionError)
"""What a server answers that does not want us; asking again does not help."""


def may_pass(error: Exception) -> bool:
    """Whether to try again."""
    passing = isinstance(error, (*PASSING, said.ReadOnlyError)) or str(error).startswith("BUSY")
    return passing and not isinstance(error, REFUSED)


def translated(error: Exception, url: str) -> MyceliumError:
    """Our error for one of the driver's."""
    text = str(error)[:300].rstrip(".") or _of_its_kind(error)
    word = text.partition(" ")[0]
    match error:
        case said.AuthenticationError() | said.AuthenticationWrongNumberOfArgsError() | said.NoPermissionError():
            return BackendUnavailable(
                f"{url} does not let us in: {text.partition(' You can also')[0]}.",
                hint="Set REDIS_PASSWORD, or put user and password into the URL.",
                url=url,
                reason="refused",
            )
        case MasterNotFoundError() | SlaveNotFoundError():
            return unavailable(url, "Sentinel does not answer, or knows no such service")
        case said.ReadOnlyError():
            return StoreReadOnly(f"{url} is a replica that takes no writes.", hint="Name the primary.", url=url)
        case said.OutOfMemoryError():
            return StoreFull(
                f"{url} has no memory left.", hint="Raise its maxmemory, or remove what is not needed.", url=url
            )
        case said.ResponseError() if word == "MISCONF":
            return StoreFull(
                f"{url} cannot write to its disk: {text}.", hint="Make room there; it then goes on by itself.", url=url
            )
        case said.ResponseError() if word == "WRONGTYPE":
            return damaged(url, text.removeprefix("WRONGTYPE "))
        case said.ResponseError() if word == "SCHEMA":
            return schema(url, text.split(" ")[1])
        case said.ResponseError() if word == "BUSY":
            return StoreLocked(f"{url} is busy with another script.", hint="Try again.", url=url)
        case said.ResponseError():
            return damaged(url, f"the server answers {text!r}")
        case _:
            return unavailable(url, text)


def _of_its_kind(error: Exception) -> str:
    return "it did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__


def unavailable(url: str, why: str) -> BackendUnavailable:
    """The server cannot be reached, or does not do what it should."""
    return BackendUnavailable(
        f"{url} is not available: {why}.", hint="Start Redis, or look at its log; then call again.", url=url
    )


def damaged(url: str, what: str) -> StoreDamaged:
    """Another program has written where the store's own data belongs."""
    return StoreDamaged(
        f"{url} is not as it should be: {what}.",
        hint="Remove what another program put there, or use another namespace.",
        url=url,
    )


def schema(url: str, found: str) -> MyceliumError:
    """The store is of another version, or is gone."""
    if found == "none":
        return unavailable(url, "the store was removed while it was open; start again")
    return SchemaTooNew(
        f"{url} has schema {found}, which this Mycelium does not know.",
        hint="Update Mycelium (mycelium-mcp) here to at least the version that last used this store.",
        url=url,
        schema=found,
    )
