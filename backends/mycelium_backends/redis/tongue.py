"""Whether a server that gives no answer speaks TLS where its URL says that it does not, or the other way round."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Final

from mycelium_backends.redis.address import Address

REPLY: Final = re.compile(rb"\+PONG|-[A-Z]+ ")
"""What a Redis answers that was asked without TLS, whether it lets us in or not."""


def mistaken_form(address: Address, error: Exception) -> str:
    """What is wrong with the URL's form, after this error; empty if nothing surely is.

    Blocks. Whoever was silent without TLS is not asked again: a server of TLS ends such a connection at once.
    """
    patience = address.settings.operation_timeout_seconds
    try:
        if address.form == "rediss" and any(_answers_plainly(host, port, patience) for host, port in address.hosts):
            return "it does not speak TLS: write redis:// for it"
        silent = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
        if address.form == "redis" and not silent and any(_speaks_tls(*each, patience) for each in address.hosts):
            return "it speaks TLS: write rediss:// for it"
    except OSError:
        pass  # it is away, which the error says already
    return ""


def _answers_plainly(host: str, port: int, patience: float) -> bool:
    with socket.create_connection((host.strip("[]"), port), patience) as plain:
        plain.sendall(b"PING\r\n")  # and no password, which nobody is to read
        return REPLY.match(plain.recv(64)) is not None


def _speaks_tls(host: str, port: int, patience: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is not trusted with anything
    with socket.create_connection((host.strip("[]"), port), patience) as plain:
        try:
            context.wrap_socket(plain).close()
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")  # such as that it wants a certificate of ours
    return True
