"""Which addresses pages may come from: public ones, and hosts that were allowed by name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import anyio

from mycelium_workbench.errors import InvalidInput, NotAllowedAddress, PageTrouble

RESOLVED_WITHIN: Final = 10.0
PORTS: Final = {"http": 80, "https": 443}
NOWHERE: Final = "Pages may come from public addresses only; --allow-host HOST:PORT allows another by name."
METADATA: Final = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data"})
"""Names by which machines in clouds learn their own secrets."""
NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "64:ff9b::/96",  # NAT64: an IPv4 address in disguise
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4: the same
        "2001::/32",  # Teredo: the same
        "::/96",  # the same, and deprecated
        "2001::/23",  # protocols' own
        "3fff::/20",  # for documents
        "5f00::/16",  # for routing
        "192.0.0.0/24",  # protocols' own
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # Azure's own services, in a public range
    )
)
GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
"""All that is handed out of IPv6."""
ISATAP: Final = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
"""How the second half of an address begins that has an IPv4 address in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a page is: who is asked for it, and at which of the checked addresses."""

    host: str
    port: int
    addresses: tuple[str, ...]


def host_and_port(text: str) -> tuple[str, int]:
    """A host and a port as `--allow-host` takes them; an IPv6 address stands in brackets.

    Raises:
        InvalidInput: it is neither.
    """
    with suppress(ValueError):
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.port and not parts.path and parts.username is None:
            return parts.hostname, parts.port
    raise InvalidInput(f"{text[:100]!r} is no HOST:PORT.", hint="Such as intranet.example:443 or [::1]:8080.")


def is_public(address: str) -> bool:
    """Whether anybody in the world may have this address: no machine, network or cloud of our own."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # with a zone, or no address at all
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in GLOBAL or ip.packed[8:12] in ISATAP):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_own(address: str) -> bool:
    """Whether this machine has this address, which may be a public one: only then it can be listened on."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.bind((address, 0))
    except OSError:
        return False
    return True


async def find_target(host: str, port: int, allowed: Collection[tuple[str, int]]) -> Target:
    """Look the host up, once, and check all that it stands for.

    Whoever connects must use the addresses given, and not look up again: the name could stand for another by then.

    Raises:
        NotAllowedAddress: one of them is not for pages.
        PageTrouble: nobody knows the host.
    """
    name = host.rstrip(".").lower()
    free = (name, port) in allowed
    if not free and (name in METADATA or name == "localhost" or name.endswith((".localhost", ".internal", ".local"))):
        raise _not_allowed(host)
    addresses = await _addresses(name, port)
    if not free and not all(is_public(each) and not is_own(each) for each in addresses):
        raise _not_allowed(host)
    return Target(name, port, addresses)


async def _addresses(name: str, port: int) -> tuple[str, ...]:
    try:
        # As the system reads it, also where that is 2130706433 or 0x7f.1: what is checked is what is connected to.
        with anyio.fail_after(RESOLVED_WITHIN):
            found = await anyio.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise PageTrouble(f"Nobody knows {name[:200]!r}.", hint="Check the address.") from error
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _not_allowed(host: str) -> NotAllowedAddress:
    return NotAllowedAddress(f"{host[:200]!r} is this machine, a private network or no public address.", hint=NOWHERE)
