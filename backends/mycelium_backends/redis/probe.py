"""Whether Redis is there: asked once, with bounded patience, before it is opened."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlencode

from mycelium.errors import BackendUnavailable
from mycelium_backends.redis.address import Address, parse
from mycelium_backends.redis.tongue import mistaken_form

Client: TypeAlias = Any
"""A `redis.Redis`, whose own signatures tell types in part only."""
NO_MORE_CLIENTS: Final = "max number of clients"


def silence_of(url: str) -> str:
    """Why nothing answers at this address; empty if something does. Blocks, for as long as its timeouts say.

    Raises:
        UnknownBackend, InvalidInput: it is no address.
        BackendUnavailable: it answers, and refuses us: a wrong password is no reason to work elsewhere.
    """
    address = parse(url)
    silence = ""
    for client in clients(address):
        silence = _silence_of(client, address)
        if not silence:
            return ""
    return silence


def _silence_of(client: Client, address: Address) -> str:
    from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, RedisError, TimeoutError
    from redis.sentinel import MasterNotFoundError

    try:
        with closing(client):
            client.ping()
    except AuthenticationError as error:
        raise refused(address, str(error) if address.password else "it wants a password, and none is set") from error
    except BusyLoadingError as error:
        raise refused(address, str(error)) from error
    except MasterNotFoundError:  # whose own text is a page of the driver's settings
        return f"Sentinel does not answer, or names no primary {address.settings.service!r} that is up"
    except (ConnectionError, TimeoutError, OSError) as error:
        if mistaken := mistaken_form(address, error):
            raise refused(address, mistaken) from error
        if NO_MORE_CLIENTS in str(error) or _is_of_tls(error):
            raise refused(address, str(error)) from error
        return f"it does not answer ({str(error).rstrip('.') or type(error).__name__})"
    except RedisError as error:
        raise refused(address, str(error)) from error
    return ""


def _is_of_tls(error: BaseException) -> bool:
    """Whether there was an answer that TLS did not accept, such as another's certificate."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, ssl.SSLError) or (cause is not None and _is_of_tls(cause))


def refused(address: Address, why: str) -> BackendUnavailable:
    """The server is there, and does not want us like this."""
    return BackendUnavailable(
        f"{address.public} answers, but refuses: {why.rstrip('.')}.",
        hint="Correct coordination.redis (`mycelium config` shows where it is set), or see why the server does so.",
        url=address.public,
        reason="refused",
    )


def clients(address: Address) -> Iterator[Client]:
    """Clients that ask once and do not try again: one for each host, or one for the primary that Sentinel names."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    patience: dict[str, Any] = {
        "socket_connect_timeout": address.settings.connection_timeout_seconds,
        "socket_timeout": address.settings.operation_timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
    }
    login: dict[str, Any] = {"username": address.username, "password": address.password}
    if address.form == "redis+sentinel":
        from redis.sentinel import Sentinel

        sentinel = cast("Any", Sentinel)(address.hosts, sentinel_kwargs=patience, **patience)
        yield sentinel.master_for(address.settings.service, db=int(address.path or 0), **login)
        return
    if address.form == "redis+unix":
        yield cast("Any", Redis)(unix_socket_path=address.path, **login, **patience)
        return
    form = "redis" if address.form == "redis+cluster" else address.form
    for host, port in address.hosts:
        url = f"{form}://{host}:{port}/{address.path}?{urlencode(address.tls)}"
        yield cast("Any", Redis).from_url(url, **login, **patience)
