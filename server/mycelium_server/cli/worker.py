"""The command that works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mycelium_server.cli.options import Agent, AsJson, Backend
from mycelium_server.cli.run import runs

if TYPE_CHECKING:
    from mycelium.settings.model import Settings


Concurrency: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, max=1000, metavar="N", show_default=False, help="Do this many tasks at once: 4."),
]
Prefetch: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, max=65535, metavar="N", show_default=False, help="Hold this many messages at once: 10."),
]
Swarm: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--swarm/--no-swarm",
        envvar="MYCELIUM_WORKER_SWARM_MODE",
        show_default=False,
        help="Take work from RabbitMQ's queues only, or from the store, too.",
    ),
]
Capability: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", show_default=False, help="Take tasks that need this. May be repeated."),
]
Queue: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", show_default=False, help="Take tasks of this queue only. May be repeated."),
]
Type: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", show_default=False, help="Take tasks of this type only. May be repeated."),
]
Once: TypeAlias = Annotated[
    bool, typer.Option("--once", help="Wait for one task, do it, then end: with code 1 unless it was completed.")
]
UntilEmpty: TypeAlias = Annotated[
    bool, typer.Option("--until-empty", help="End when there is nothing to take and nothing runs.")
]
HealthFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default=False, help="Tell in this file, as JSON, how the worker is."),
]
HealthPort: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        show_default=False,
        help="Answer GET /health and /ready on this port of 127.0.0.1. 0 takes a free one and says which.",
    ),
]
McpFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="Use the MCP servers of this file. Without it, coordination and the workbench.",
    ),
]
DrainSeconds: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=24 * 3600,
        metavar="SECONDS",
        show_default=False,
        help="Go on for so long with what runs when told to end: 30.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(worker)


@runs
async def worker(
    context: typer.Context,
    concurrency: Concurrency = None,
    prefetch: Prefetch = None,
    swarm: Swarm = None,
    capability: Capability = None,
    queue: Queue = None,
    type: Type = None,
    once: Once = False,
    until_empty: UntilEmpty = False,
    health_file: HealthFile = None,
    health_port: HealthPort = None,
    mcp_file: McpFile = None,
    drain_seconds: DrainSeconds = None,
    backend: Backend = "auto",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Take tasks and do them, until told to end.

    Executors do the types of tasks that they are for, and a model everything else, if one is configured. Told to end by
    a signal, it takes nothing new, ends what it has, and gives back what takes too long; a second signal ends it at
    once.

    MYCELIUM_LOG is the level of logs on stderr. SWARM_MODE means the same as MYCELIUM_WORKER_SWARM_MODE; more settings
    are in the reference, and `mycelium config` shows them.
    """
    from mycelium_server.assembly.worker import Plan
    from mycelium_server.cli.settings import configured
    from mycelium_server.working import Manner, work

    config = configured(context, backend)
    settings = _over(
        config.settings, concurrency=concurrency, prefetch=prefetch, swarm_mode=swarm, mcp_file=mcp_file,
        drain_seconds=drain_seconds,
    )  # fmt: skip
    plan = Plan(backend=backend, agent=agent, capabilities=capability or (), queues=queue or (), types=type or ())
    manner = Manner(
        once=once, until_empty=until_empty, health_file=health_file, health_port=health_port, as_json=as_json
    )
    if code := await work(config, settings, plan, manner):
        raise typer.Exit(code)


def _over(settings: Settings, **flags: object) -> Settings:
    """The settings with what flags say over them."""
    said = {name: value for name, value in flags.items() if value is not None}
    return settings.model_copy(update={"worker": settings.worker.model_copy(update=said)})
