"""Where the broker is, and how to reach it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import ValidationError

from mycelium.errors import InvalidConfig, InvalidInput
from mycelium.settings.network import RabbitMQ

PORT, TLS_PORT = 5672, 5671
FORM: Final = "amqp://USER:PASSWORD@HOST:PORT/VHOST"


def host_of(settings: RabbitMQ) -> str:
    """The host.

    Raises:
        InvalidConfig: none is configured.
    """
    if settings.host is None:
        raise InvalidConfig(
            "No RabbitMQ is configured.",
            hint="Set RABBITMQ_HOST, or rabbitmq.host in .mycelium/config.json.",
            setting="rabbitmq.host",
        )
    return settings.host


def port_of(settings: RabbitMQ) -> int:
    return settings.port or (TLS_PORT if settings.tls else PORT)


def address_of(settings: RabbitMQ) -> str:
    """The address as people may read it: without the password."""
    vhost = "" if settings.vhost == "/" else f"/{settings.vhost}"
    return f"{'amqps' if settings.tls else 'amqp'}://{settings.username}@{settings.host}:{port_of(settings)}{vhost}"


def settings_at(url: str, **more: Any) -> RabbitMQ:
    """The settings that lead to the broker of this URL: `amqp://` or, with TLS, `amqps://`; `more` stands beside them.

    What is left out is as it is by default. As AMQP's URLs have it, `%2F` or nothing behind the host is the virtual
    host `/`.

    Raises:
        InvalidInput: it is none. Does not repeat it, since it may hold a password.
    """
    try:
        return RabbitMQ.model_validate({**_given(urlsplit(url)), **more})
    except ValidationError as error:
        wrong = ", ".join(str(each["loc"][0]) for each in error.errors())
        raise _no_url(f"The RabbitMQ URL has a wrong {wrong}.") from None
    except ValueError:
        raise _no_url("That is no URL of RabbitMQ.") from None


def _given(parts: SplitResult) -> dict[str, Any]:
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError
    said = {
        "host": parts.hostname,
        "port": parts.port,
        "vhost": unquote(parts.path.removeprefix("/")),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    if not all(str(value).isprintable() for value in said.values()):
        raise ValueError
    return {name: value for name, value in said.items() if value not in (None, "")} | {"tls": parts.scheme == "amqps"}


def _no_url(message: str) -> InvalidInput:
    return InvalidInput(
        message, hint=f"Write {FORM}, or amqps:// for TLS, with %40 and %2F for @ and / within a part.", fields=["url"]
    )


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
