"""Addresses of Redis: what they may look like, and how to show them without what is secret."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

SOCKET: Final = "redis+unix"
FORMS: Final = ("redis", "rediss", SOCKET, "redis+sentinel", "redis+cluster")
SETTINGS: Final = (
    "namespace",
    "connection_timeout_seconds",
    "operation_timeout_seconds",
    "retry_attempts",
    "retry_delay_ms",
)
"""What of the settings may stand behind the `?`."""
IN_QUERY: Final = (*SETTINGS, "service", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
SHOWN: Final = frozenset({"namespace", "service"})
"""What of the query tells stores apart."""
HIDDEN: Final = "***"
_IN_LOGIN: Final = re.compile(r"(://[^/?#:]*:)[^/?#]*@")
_IN_QUERY: Final = re.compile(r"([?&][^=&#]*pass[^=&#]*=)[^&#]*", re.IGNORECASE)


def checked_address(url: str) -> str:
    """The address itself.

    Raises:
        ValueError: it is none. Does not repeat it, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in FORMS:
        raise ValueError(f"must begin with {', '.join(f'{form}://' for form in FORMS)}")
    if parts.fragment:
        raise ValueError("a # in it must be written %23")
    _check_place(parts)
    _check_query(parts)
    return url


def _check_place(parts: SplitResult) -> None:
    if parts.scheme == SOCKET:
        _check_socket(parts)
        return
    number = parts.path.strip("/")
    if number and not (number.isascii() and number.isdecimal()):
        raise ValueError("behind the host only the number of the database may stand")
    for host in parts.netloc.rpartition("@")[2].split(","):
        _check_host(host, several="," in parts.netloc, scheme=parts.scheme)


def _check_socket(parts: SplitResult) -> None:
    if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
        raise ValueError(f"a socket is named by its whole path: {SOCKET}:///run/redis.sock")


def _check_query(parts: SplitResult) -> None:
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.query:
        raise ValueError("a ? in the password must be written %3F, and an @ %40")
    if unknown := [name for name in given if name not in IN_QUERY]:
        raise ValueError(f"behind the ? nothing is called {', '.join(unknown)}, only {', '.join(IN_QUERY)}")
    if parts.scheme == "redis+sentinel" and not given.get("service"):
        raise ValueError("Sentinel needs the name of the service: ?service=NAME")


def _check_host(host: str, *, several: bool, scheme: str) -> None:
    if several and "+" not in scheme:
        raise ValueError("only redis+sentinel:// and redis+cluster:// have several hosts")
    try:
        parts = urlsplit(f"//{host}")
        known = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        known = False
    if not known:
        raise ValueError("a host must be NAME or NAME:PORT")


def public(url: str) -> str:
    """The address of a store without user, password and whatever else does not tell stores apart."""
    parts = urlsplit(url)
    query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] in SHOWN])
    return joined(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query)


def joined(scheme: str, netloc: str, path: str, query: str) -> str:
    """The address of these parts. Python's own way leaves the slashes out where there is no host."""
    return f"{scheme}://{netloc}{path}{'?' if query else ''}{query}"


def without_password(url: str) -> str:
    """The address as it was given, with the password hidden."""
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_LOGIN.sub(rf"\1{HIDDEN}@", url))
