"""Where the broker is, and how to reach it."""

from __future__ import annotations

import ssl
from pathlib import Path

from mycelium.errors import InvalidConfig
from mycelium.settings.network import RabbitMQ

PORT, TLS_PORT = 5672, 5671


def host_of(settings: RabbitMQ) -> str:
    """The host.

    Raises:
        InvalidConfig: none is configured.
    """
    if settings.host is None:
        raise InvalidConfig(
            "No RabbitMQ is configured.",
            hint="Set RABBITMQ_HOST, or host under [rabbitmq] in the configuration's file.",
            setting="rabbitmq.host",
        )
    return settings.host


def port_of(settings: RabbitMQ) -> int:
    return settings.port or (TLS_PORT if settings.tls else PORT)


def address_of(settings: RabbitMQ) -> str:
    """The address as people may read it: without the password."""
    vhost = "" if settings.vhost == "/" else f"/{settings.vhost}"
    return f"{'amqps' if settings.tls else 'amqp'}://{settings.username}@{settings.host}:{port_of(settings)}{vhost}"


def trust_of(settings: RabbitMQ) -> ssl.SSLContext | None:
    """Whom to trust and how to show who we are; None without TLS.

    Raises:
        InvalidConfig: a file cannot be read, or holds something else.
    """
    if not settings.tls:
        return None
    context = _trusting(settings.ca_file)
    if settings.cert_file is not None:
        key = settings.key_file and Path(settings.key_file).expanduser()
        try:
            context.load_cert_chain(Path(settings.cert_file).expanduser(), key, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unreadable("rabbitmq.cert_file", settings.cert_file, error) from error
    return context


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file and str(Path(ca_file).expanduser()))
    except OSError as error:
        raise _unreadable("rabbitmq.ca_file", ca_file or "", error) from error


def _no_password() -> str:
    raise ValueError("the key wants a password, which cannot be given")  # OpenSSL would ask for it at the terminal


def _unreadable(setting: str, file: str, error: Exception) -> InvalidConfig:
    return InvalidConfig(
        f"{setting}: {file} cannot be used: {getattr(error, 'strerror', None) or error}.",
        hint="Name a PEM file that this user may read.",
        setting=setting,
        file=file,
    )
