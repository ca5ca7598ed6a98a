"""The settings of messages, workers and the models that work for them."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from mycelium.models.base import MAX_SECONDS
from mycelium.settings.section import Path, Section, Text, Timeout, setting


def _whole_address(url: str) -> str:
    """The address itself.

    Raises:
        ValueError: it is none. Does not repeat it, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        whole = False
    if not whole or " " in url:
        raise ValueError("must be a whole http:// or https:// address")
    return url


Endpoint = Annotated[Text, AfterValidator(_whole_address)]
"""Where something speaks HTTP."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
"""What RabbitMQ calls an exchange, or what the names of queues begin with."""


class RabbitMQ(Section):
    """How to reach RabbitMQ, and what to call things there."""

    host: Text | None = setting(
        None, "Where RabbitMQ is. Without it, no messages are sent or taken.", "MYCELIUM_RABBITMQ_HOST", "RABBITMQ_HOST"
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = setting(
        None, "Its port: 5672, or 5671 with TLS, unless given.", "MYCELIUM_RABBITMQ_PORT", "RABBITMQ_PORT"
    )
    vhost: Text = setting("/", "The virtual host.", "MYCELIUM_RABBITMQ_VHOST", "RABBITMQ_VHOST")
    username: Text = setting("guest", "The user.", "MYCELIUM_RABBITMQ_USERNAME", "RABBITMQ_USERNAME")
    password: SecretStr = setting(
        SecretStr("guest"), "The user's password.", "MYCELIUM_RABBITMQ_PASSWORD", "RABBITMQ_PASSWORD"
    )
    tls: bool = setting(False, "Whether to speak TLS.", "MYCELIUM_RABBITMQ_TLS", "RABBITMQ_TLS")
    ca_file: Path | None = setting(
        None, "Whom to trust, as a PEM file. By default whom this system trusts.", "MYCELIUM_RABBITMQ_CA_FILE"
    )
    cert_file: Path | None = setting(None, "The client's certificate, as a PEM file.", "MYCELIUM_RABBITMQ_CERT_FILE")
    key_file: Path | None = setting(
        None, "The client's key, as a PEM file. By default it is in cert_file.", "MYCELIUM_RABBITMQ_KEY_FILE"
    )
    exchange: Name = setting("qilbee", "The exchange.", "MYCELIUM_RABBITMQ_EXCHANGE", "RABBITMQ_EXCHANGE")
    queue_prefix: Name = setting(
        "qilbee", "What the names of the queues begin with.", "MYCELIUM_RABBITMQ_QUEUE_PREFIX", "RABBITMQ_QUEUE_PREFIX"
    )
    queue_type: Literal["quorum", "classic"] = setting(
        "quorum", "Queues that several nodes keep, or that one does.", "MYCELIUM_RABBITMQ_QUEUE_TYPE"
    )
    message_ttl_seconds: Annotated[int, Field(ge=1, le=31 * 24 * 3600)] = setting(
        3600, "How long a message may wait in a queue.", "MYCELIUM_RABBITMQ_MESSAGE_TTL_SECONDS"
    )
    max_length: Annotated[int, Field(ge=1, le=100_000_000)] = setting(
        10_000, "How many messages a queue takes before it refuses more.", "MYCELIUM_RABBITMQ_MAX_LENGTH"
    )
    connection_timeout_seconds: Timeout = setting(
        10.0,
        "How long to wait for a connection, or for an answer.",
        "MYCELIUM_RABBITMQ_CONNECTION_TIMEOUT_SECONDS",
        "RABBITMQ_CONNECTION_TIMEOUT",
    )
    heartbeat_seconds: Annotated[int, Field(ge=1, le=600)] = setting(
        30, "After how much silence a connection is dead.", "MYCELIUM_RABBITMQ_HEARTBEAT_SECONDS"
    )


class Worker(Section):
    """How much a worker takes on, and who does it."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = setting(
        4, "How many tasks a worker does at once.", "MYCELIUM_WORKER_CONCURRENCY"
    )
    prefetch: Annotated[int, Field(ge=1, le=65535)] = setting(
        10, "How many messages a worker holds at once.", "MYCELIUM_WORKER_PREFETCH"
    )
    swarm_mode: bool = setting(
        False, "Whether workers take work from queues only.", "MYCELIUM_WORKER_SWARM_MODE", "SWARM_MODE"
    )
    lease_seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS)] = setting(
        60.0, "How long a worker that died is waited for.", "MYCELIUM_WORKER_LEASE_SECONDS"
    )
    drain_seconds: Annotated[float, Field(ge=0, le=24 * 3600)] = setting(
        30.0, "How long a worker that is told to end goes on with what it has.", "MYCELIUM_WORKER_DRAIN_SECONDS"
    )
    mcp_file: Path | None = setting(
        None,
        "The file with the MCP servers whose tools are offered. By default coordination and the workbench.",
        "MYCELIUM_WORKER_MCP_FILE",
    )
    tool_seconds: Timeout = setting(120.0, "How long one call of a tool may take.", "MYCELIUM_WORKER_TOOL_SECONDS")
    provider: Literal["claude", "openai"] = setting("claude", "Whose model does the tasks.", "MYCELIUM_WORKER_PROVIDER")
    max_turns: Annotated[int, Field(ge=1, le=10_000)] = setting(
        50, "How often a model is asked for one task, at most.", "MYCELIUM_WORKER_MAX_TURNS"
    )
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000_000)] = setting(
        1_000_000, "How many tokens one task may take, both ways.", "MYCELIUM_WORKER_MAX_TOKENS"
    )
    max_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = setting(
        3600.0, "How long a model may work on one task that says nothing of it.", "MYCELIUM_WORKER_MAX_SECONDS"
    )


class Claude(Section):
    """How to reach Claude."""

    api_key: SecretStr | None = setting(None, "The key.", "MYCELIUM_CLAUDE_API_KEY", "ANTHROPIC_API_KEY")
    base_url: Endpoint | None = setting(
        None, "Another endpoint that speaks the Messages API.", "MYCELIUM_CLAUDE_BASE_URL", "ANTHROPIC_BASE_URL"
    )
    model: Name = setting("claude-opus-5-5", "The model.", "MYCELIUM_CLAUDE_MODEL", "ANTHROPIC_MODEL")
    effort: Literal["low", "medium", "high"] | None = setting(
        None,
        "How much thought the model gives to an answer. By default what it thinks right.",
        "MYCELIUM_CLAUDE_EFFORT",
    )
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = setting(
        16_000, "How long one answer may be, in tokens.", "MYCELIUM_CLAUDE_MAX_TOKENS"
    )


class OpenAI(Section):
    """How to reach an endpoint that speaks OpenAI's Chat Completions API."""

    api_key: SecretStr | None = setting(None, "The key.", "MYCELIUM_OPENAI_API_KEY", "OPENAI_API_KEY")
    base_url: Endpoint | None = setting(
        None, "Another endpoint that speaks the API.", "MYCELIUM_OPENAI_BASE_URL", "OPENAI_BASE_URL"
    )
    model: Text = setting("gpt-5", "The model.", "MYCELIUM_OPENAI_MODEL")
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = setting(
        16_000, "How long one answer may be, in tokens.", "MYCELIUM_OPENAI_MAX_TOKENS"
    )
