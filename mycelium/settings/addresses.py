"""Addresses of Redis: what they may look like, and how to show them without what is secret."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

FORMS: Final = ("redis", "rediss", "redis+sentinel", "redis+cluster")
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
        scheme, netloc, path, query, fragment = urlsplit(url)
    except ValueError:
        raise ValueError("not a URL") from None
    if scheme not in FORMS:
        raise ValueError(f"must begin with {', '.join(f'{form}://' for form in FORMS)}")
    if fragment:
        raise ValueError("a # in it must be written %23")
    if scheme == "redis+sentinel" and "service" not in dict(parse_qsl(query)):
        raise ValueError("Sentinel needs the name of the service: ?service=NAME")
    if path.strip("/") and not path.strip("/").isdecimal():
        raise ValueError("behind the host only the number of the database may stand")
    for host in netloc.rpartition("@")[2].split(","):
        _check_host(host, several="," in netloc, scheme=scheme)
    return url


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
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


def without_password(url: str) -> str:
    """The address as it was given, with the password hidden."""
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_LOGIN.sub(rf"\1{HIDDEN}@", url))
