"""A worker: a store, its sources, whoever does the tasks, and their tools."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mycelium import Mycelium, MyceliumError
from mycelium.client.base import checked
from mycelium.client.ids import new_name
from mycelium.errors import InvalidConfig, InvalidInput
from mycelium.settings import leaves_the_choice
from mycelium_server.assembly.stores import configured_redis
from mycelium_server.connect import server_command
from mycelium_server.version import own_version
from mycelium_worker.attempt import Limits
from mycelium_worker.executors.registry import Executors
from mycelium_worker.lazy import LazyModel, LazyToolbox, lazily
from mycelium_worker.presence import Presence, present
from mycelium_worker.providers import check_installed
from mycelium_worker.resting import RestingModel, types_now
from mycelium_worker.store_source import open_store_source
from mycelium_worker.tally import Outcome
from mycelium_worker.worker import Worker

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mycelium.settings import Configuration
    from mycelium.settings.model import Settings
    from mycelium_messaging.connection import Broker
    from mycelium_worker.model import Model
    from mycelium_worker.servers.spec import ServerSpec
    from mycelium_worker.source import Source
    from mycelium_worker.toolbox import Toolbox


BROKER_AWAY: Final = "broker_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What this worker is to do, beside what the settings say."""

    backend: str
    agent: str | None = None
    capabilities: Sequence[str] = ()
    queues: Sequence[str] = ()
    types: Sequence[str] = ()
    """The types of tasks to take; none means all that it can do."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A worker that only needs to be run, and what it was made of."""

    worker: Worker
    presence: Presence
    client: Mycelium
    types: Sequence[str]
    """The types of tasks that it takes; none means any."""
    executors: Executors
    model: RestingModel | None
    broker: Broker | None
    """Where messages with tasks come from."""

    @property
    def hopeless(self) -> MyceliumError | None:
        """Why it never ends by itself before somebody mends that, once there is nothing else to do.

        The broker refuses it, or brings again and again what only the model could do, which answers nobody.
        """
        if self.broker is None:
            return None
        trouble = self.broker.trouble
        if trouble is not None and trouble.code != BROKER_AWAY:
            return trouble if self._has_nothing_else else None
        return self.model_trouble if self.worker.sources[0].empty else None

    @property
    def alone(self) -> MyceliumError | None:
        """Why there is no broker at present, once there is nothing to do without it. It may come back at any time."""
        trouble = None if self.broker is None else self.broker.trouble
        return trouble if trouble is not None and trouble.code == BROKER_AWAY and self._has_nothing_else else None

    @property
    def _has_nothing_else(self) -> bool:
        """Whether all is done that can be done without the broker."""
        return not self.worker.running and all(source.empty for source in self.worker.sources if source.connected)

    @property
    def model_trouble(self) -> InvalidConfig | None:
        """Why the model answers nobody, if that is so."""
        if self.model is None or self.model.trouble is None:
            return None
        return InvalidConfig(
            f"The model {self.model.name} answers nobody: {self.model.trouble}",
            hint="Tasks that need it were given back as they were.",
        )


@asynccontextmanager
async def open_worker(
    config: Configuration, settings: Settings, plan: Plan, hear: Callable[[Outcome], None]
) -> AsyncGenerator[Assembled]:
    """A worker whose agent is there for the time of this context. What is heavy is imported when it is first needed.

    Raises:
        InvalidInput: nobody here does one of the types, a name or a file is wrong, or the model's package is missing.
        StoreError: the store cannot be opened.
    """
    name = checked(plan.agent) if plan.agent else made_up_name()
    executors = Executors()
    model_name = configured_model(settings)
    types = types_to_take(plan.types, executors, model=model_name is not None)
    servers = _servers_of_file(settings)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Mycelium.open(plan.backend, agent=name))
        model = None
        if model_name is not None:
            opened = await stack.enter_async_context(lazily(lambda: _open_model(settings)))
            model = RestingModel(LazyModel(model_name, opened))
        sources, broker = await _open_sources(stack, settings, plan, client, types, types_now(types, executors, model))
        said: dict[str, JsonValue] = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "version": own_version(),
            "concurrency": settings.worker.concurrency,
            "sources": [source.name for source in sources],
            "swarm": settings.worker.swarm_mode,
            "executors": list(types) or ["*"],
        }
        presence = await stack.enter_async_context(present(client, plan.capabilities, said))
        # After the presence, so that it has the last word: the tools' own server works under the same name.
        toolbox = await stack.enter_async_context(
            lazily(lambda: _open_toolbox(settings, servers or _own_servers(config, settings, plan, client)))
        )
        worker = Worker(
            client,
            sources,
            executors,
            LazyToolbox(toolbox),
            model=model,
            limits=Limits(
                turns=settings.worker.max_turns,
                tokens=settings.worker.max_tokens,
                seconds=settings.worker.max_seconds,
            ),
            concurrency=settings.worker.concurrency,
            drain_seconds=settings.worker.drain_seconds,
            hear=hear,
        )
        yield Assembled(worker, presence, client, types, executors, model, broker)


async def _open_sources(
    stack: AsyncExitStack,
    settings: Settings,
    plan: Plan,
    client: Mycelium,
    types: Sequence[str],
    now: Callable[[], Sequence[str] | None],
) -> tuple[Sequence[Source], Broker | None]:
    """Where tasks come from, the broker if it is among that, all of it opened on `stack`."""
    worker, swarm = settings.worker, settings.worker.swarm_mode
    if swarm and plan.queues:
        raise InvalidInput(
            "Swarm mode takes work from RabbitMQ's queues only, and those that a worker can be told are the store's.",
            hint="Leave out --swarm and SWARM_MODE, and it serves its queues; or --queue, and it takes messages.",
            fields=["swarm", "queue"],
        )
    if settings.rabbitmq.host is None and swarm:
        raise InvalidInput(
            "Swarm mode takes work from RabbitMQ's queues, and no RabbitMQ is configured.",
            hint="Say where it is with RABBITMQ_HOST or --set rabbitmq.host=HOST, or use --no-swarm.",
            fields=["swarm"],
        )
    store = open_store_source(
        client, types=now, queues=plan.queues, lease_seconds=worker.lease_seconds, addressed_only=swarm
    )
    sources: list[Source] = [await stack.enter_async_context(store)]
    if settings.rabbitmq.host is None:
        return sources, None
    queues, broker = await _open_queues(stack, settings, plan, client, types)
    return [*sources, *queues], broker if queues else None


async def _open_queues(
    stack: AsyncExitStack, settings: Settings, plan: Plan, client: Mycelium, types: Sequence[str]
) -> tuple[Sequence[Source], Broker]:
    """The queue of tasks. Who serves queues of the store only, relays, and leaves that one to others."""
    from mycelium_messaging.intake import Intake
    from mycelium_messaging.service import open_relay, open_source

    broker = await stack.enter_async_context(open_relay(client, settings.rabbitmq))
    if plan.queues:
        return (), broker
    intake = Intake(client, broker, types=types or None, lease_seconds=settings.worker.lease_seconds)
    source = await stack.enter_async_context(open_source(broker, intake, prefetch=settings.worker.prefetch))
    return [source], broker


def made_up_name() -> str:
    """A name for a worker of this host, unlike that of any other."""
    host = "".join(
        char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in socket.gethostname()
    )
    return new_name("-".join(["worker", *([host[:60]] if host.strip("-._") else [])]))


def types_to_take(wanted: Sequence[str], executors: Executors, *, model: bool) -> Sequence[str]:
    """The types of tasks to claim, none meaning any: only what somebody here can do.

    Raises:
        InvalidInput: one that is wanted is not among that.
    """
    if impossible := [each for each in wanted if not executors.can(each, model=model)]:
        raise InvalidInput(
            f"Nobody here does tasks of type {', '.join(impossible)}.",
            hint=f"Without a model there are {', '.join(executors.types) or 'none'}. A key such as ANTHROPIC_API_KEY "
            "lets a model do the others.",
            fields=["type"],
        )
    if wanted:
        return tuple(dict.fromkeys(wanted))
    return () if model and executors.has_default else tuple(executors.types)


def configured_model(settings: Settings) -> str | None:
    """The name of the model that does what no executor does; None where nothing says how to reach one.

    Raises:
        InvalidConfig: what speaks to its provider is not installed.
    """
    provider = settings.claude if settings.worker.provider == "claude" else settings.openai
    if provider.api_key is None and provider.base_url is None:
        return None
    check_installed(settings.worker)
    return provider.model


def _open_model(settings: Settings) -> AbstractAsyncContextManager[Model]:
    from mycelium_worker.providers import open_model

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Model]:
        async with open_model(settings.worker, settings.claude, settings.openai) as model:
            assert model is not None, "a model that is configured"
            yield model

    return opened()


def _servers_of_file(settings: Settings) -> Sequence[ServerSpec]:
    """The MCP servers that the file names; none without a file. Raises as `read_servers`."""
    if settings.worker.mcp_file is None:
        return ()
    from mycelium_worker.servers.file import read_servers

    return read_servers(settings.worker.mcp_file)


def _own_servers(config: Configuration, settings: Settings, plan: Plan, client: Mycelium) -> Sequence[ServerSpec]:
    """The store as the worker's agent sees it, and the workbench in this folder."""
    from mycelium_server.assembly.own_bench import own_bench
    from mycelium_worker.servers.spec import default_servers

    url = _whole_url(config, plan, client)
    bench = own_bench(config, client.backend.url)
    unlisted = () if settings.tools == "all" else _unlisted()
    return default_servers(server_command(), backend=url, agent=client.agent, bench=bench, unlisted=unlisted)


def _unlisted() -> Iterable[str]:
    """The tools of the store that models are not told of: more than the core and a word to people is seldom needed."""
    from mycelium_tools.profiles import ALL, FOR_MODELS

    return {tool.name for tool in ALL} - {tool.name for tool in FOR_MODELS}


def _whole_url(config: Configuration, plan: Plan, client: Mycelium) -> str:
    """The URL of the very store that is open, for a process that gets nothing else of this one's environment."""
    if not leaves_the_choice(plan.backend):
        return plan.backend
    return configured_redis(config) if client.mode == "redis" else client.backend.url


def _open_toolbox(settings: Settings, servers: Sequence[ServerSpec]) -> AbstractAsyncContextManager[Toolbox]:
    from mycelium_worker.servers.pool import open_toolbox

    return open_toolbox(servers, tool_seconds=settings.worker.tool_seconds)
