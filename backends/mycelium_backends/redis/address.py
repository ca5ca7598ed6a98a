"""The URLs of Redis stores, and the settings that they carry.

    redis://host:6379/0         rediss:// is the same with TLS, redis+unix:///path a socket
    redis+sentinel://a:26379,b:26379/0?service=mymaster
    redis+cluster://a:7000,b:7001

Behind the `?` may stand the settings of `Settings` and, for TLS, what `TLS` names; redis-py says what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import Field
from pydantic_core import ValidationError

from mycelium.errors import InvalidInput, UnknownBackend
from mycelium.models.base import Id, Model, invalid

FORMS: Final = ("redis", "rediss", "redis+unix", "redis+sentinel", "redis+cluster")
TLS: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
ENCODED: Final = " In a password, / is written %2F, # %23, @ %40 and : %3A."
"""Said instead of repeating what may be a password."""
DEFAULT_PORTS: Final[Mapping[str, int]] = {"redis+sentinel": 26379}


class Settings(Model):
    """How a store is kept and reached. Times are in the unit that their name says."""

    namespace: Id = "mycelium"
    """All keys of the store begin with `{namespace}:`, so that several stores can share a server."""
    connection_timeout_seconds: float = Field(default=5, gt=0, le=3600)
    operation_timeout_seconds: float = Field(default=2, gt=0, le=3600)
    retry_attempts: int = Field(default=3, ge=0, le=100)
    retry_delay_ms: float = Field(default=100, ge=0, le=60_000)
    service: str = "mymaster"
    """What Sentinel calls the primary."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is. `hosts` has more than one for Sentinel and Cluster."""

    form: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    """The number of the database, or the path of the socket."""
    username: str | None
    password: str | None
    settings: Settings
    tls: Mapping[str, str]
    """How the server shows who it is, and we who we are."""

    @property
    def public(self) -> str:
        """The URL without secrets."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        path = "" if not self.path else quote(self.path if self.form == "redis+unix" else f"/{self.path}")
        query: dict[str, Any] = {"namespace": self.settings.namespace}
        if self.form == "redis+sentinel":
            query["service"] = self.settings.service
        return f"{self.form}://{hosts}{path}?{urlencode(query)}"

    @property
    def prefix(self) -> str:
        """What all keys begin with; the braces keep them in one slot of a cluster."""
        return f"{{{self.settings.namespace}}}:"


def parse(url: str) -> Address:
    """Take a URL apart.

    Raises:
        UnknownBackend: it is none of these forms.
        InvalidInput: a setting in it is wrong; names it.
    """
    parts = urlsplit(url)
    if parts.scheme not in FORMS:
        raise _unknown(parts.scheme, f"{parts.scheme}: is no form of a Redis URL.")
    login, _, places = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    ours = {name: given.pop(name) for name in list(given) if name not in TLS}
    return Address(
        form=parts.scheme,
        hosts=_hosts(parts.scheme, places),
        path=_socket(parts.path) if parts.scheme == "redis+unix" else _database(parts.scheme, parts.path),
        username=unquote(username) or None,
        password=unquote(password) or None,
        settings=_settings(ours),
        tls=_tls(parts.scheme, given),
    )


def _tls(form: str, given: Mapping[str, str]) -> Mapping[str, str]:
    if given and form != "rediss":
        raise InvalidInput(
            f"Invalid {', '.join(given)}: only rediss:// is encrypted.",
            hint="Write rediss://, or leave it out.",
            fields=sorted(given),
        )
    return given


def _hosts(form: str, places: str) -> tuple[tuple[str, int], ...]:
    if form == "redis+unix":
        return ()  # it has a path instead
    hosts = tuple(_host(form, place) for place in places.split(",")) if places else ()
    if not hosts or (len(hosts) > 1 and form in {"redis", "rediss"}):
        raise _unknown(form, f"{form}:// needs {'one host' if form in {'redis', 'rediss'} else 'hosts'}.")
    return hosts


def _host(form: str, place: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?", place)
    if match is None or int(match[2] or 1) > 65535:
        raise _unknown(form, f"What stands behind {form}:// is no host and port.{ENCODED}")
    return match[1], int(match[2] or DEFAULT_PORTS.get(form, 6379))


def _socket(path: str) -> str:
    if not path.strip("/"):
        raise _unknown("redis+unix", "redis+unix:// needs the path of a socket.")
    return unquote(path)


def _database(form: str, path: str) -> str:
    number = path.strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise _unknown(form, f"What stands behind the host is no number of a database.{ENCODED}")
    if number not in {"", "0"} and form == "redis+cluster":
        raise _unknown(form, "A cluster has no numbered databases.")
    return number


def _settings(given: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise invalid(error) from None


def _unknown(form: str, message: str) -> UnknownBackend:
    return UnknownBackend(
        message,
        hint="Write redis://host:6379/0, redis+sentinel://host:26379/0?service=mymaster or redis+cluster://host:7000.",
        scheme=form,
    )
