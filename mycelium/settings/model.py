"""Every setting: its name, type and limits, its default, its variables, and what it is for."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from mycelium.models.base import Id
from mycelium.settings.addresses import checked_address
from mycelium.settings.network import Claude, OpenAI, RabbitMQ, Worker
from mycelium.settings.section import Path, Section, Timeout, setting

Mode: TypeAlias = Literal["auto", "redis", "taskqueue", "sqlite", "markdown", "memory"]
MODES: Final[tuple[str, ...]] = get_args(Mode)

Tools: TypeAlias = Literal["core", "all"]

Address = Annotated[str, AfterValidator(checked_address)]


class Redis(Section):
    """How to reach Redis, and how patient to be with it."""

    url: Address = setting(
        "redis://localhost:6379",
        "Where Redis is: redis://, rediss://, redis+unix:///SOCKET, redis+sentinel://HOST,HOST/0?service=NAME or "
        "redis+cluster://HOST,HOST.",
        "MYCELIUM_REDIS_URL",
        "REDIS_URL",
    )
    password: SecretStr | None = setting(
        None, "The password, where the URL does not hold it.", "MYCELIUM_REDIS_PASSWORD", "REDIS_PASSWORD"
    )
    db: Annotated[int, Field(ge=0, le=1_000_000)] = setting(
        0, "The number of the database, where the URL does not hold it.", "MYCELIUM_REDIS_DB", "REDIS_DB"
    )
    namespace: Id | None = setting(
        None,
        "What the keys begin with, so that projects can share a server. By default the name of the project's folder.",
        "MYCELIUM_REDIS_NAMESPACE",
    )
    connection_timeout_seconds: Timeout = setting(
        5.0, "How long to wait for a connection.", "MYCELIUM_REDIS_CONNECTION_TIMEOUT_SECONDS"
    )
    operation_timeout_seconds: Timeout = setting(
        2.0, "How long to wait for an answer.", "MYCELIUM_REDIS_OPERATION_TIMEOUT_SECONDS"
    )
    retry_attempts: Annotated[int, Field(ge=0, le=100)] = setting(
        3, "How often to try again when the connection fails.", "MYCELIUM_REDIS_RETRY_ATTEMPTS"
    )
    retry_delay_ms: Annotated[int, Field(ge=0, le=60_000)] = setting(
        100, "The pause before the first of these, in milliseconds.", "MYCELIUM_REDIS_RETRY_DELAY_MS"
    )


class TaskQueue(Section):
    """The terms of TaskQueue mode."""

    poll_interval_ms: Annotated[int, Field(ge=10, le=3_600_000)] = setting(
        1000,
        "How often to look for changes that no other process announced, in milliseconds.",
        "MYCELIUM_TASKQUEUE_POLL_INTERVAL_MS",
        "TASKQUEUE_POLL_INTERVAL",
    )
    max_tasks: Annotated[int, Field(ge=1, le=1_000_000)] = setting(
        100, "How many tasks one agent may hold at a time.", "MYCELIUM_TASKQUEUE_MAX_TASKS"
    )
    task_timeout_seconds: Annotated[float, Field(gt=0, le=366 * 24 * 3600)] = setting(
        300.0,
        "How long an attempt may take at tasks that say nothing of it.",
        "MYCELIUM_TASKQUEUE_TASK_TIMEOUT_SECONDS",
    )


class Markdown(Section):
    """Where the files are."""

    folder: Path = setting(
        ".claude/coordination", "The folder of the files, as seen from the project's.", "MYCELIUM_MARKDOWN_FOLDER"
    )


class Coordination(Section):
    """Where the team's state is."""

    mode: Mode = setting("auto", "The kind of store. `auto` takes what is there.", "MYCELIUM_MODE", "TASKQUEUE_MODE")
    redis: Redis = Redis()
    taskqueue: TaskQueue = TaskQueue()
    markdown: Markdown = Markdown()


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tools: Tools = setting(
        "core",
        "Which tools agents are offered: the core, or all, which adds triggers and control of workflows.",
        "MYCELIUM_TOOLS",
    )
    coordination: Coordination = Coordination()
    rabbitmq: RabbitMQ = RabbitMQ()
    worker: Worker = Worker()
    claude: Claude = Claude()
    openai: OpenAI = OpenAI()
