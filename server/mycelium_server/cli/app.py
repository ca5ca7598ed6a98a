"""The commands and their flags. What a command does is imported when it runs, so that `serve` starts fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from mycelium_server.cli import bench, broker, demo, flow, reading, workbench, worker, writing
from mycelium_server.cli.options import Agent, AsJson, Backend
from mycelium_server.cli.run import runs

EPILOG: Final = """\b
Exit codes:
  0    Done.
  1    Refused, not found, a check of the doctor failed, or what was waited for did.
  2    The command line, or a value in it, is wrong.
  3    The store cannot be used, or there is none yet; or RabbitMQ is away, or refuses.
  124  What was waited for did not come in time.
  130  Ended by Ctrl-C."""

app = typer.Typer(
    name="mycelium",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MYCELIUM"},
)

WrittenFile: TypeAlias = Annotated[
    Path | None, typer.Argument(metavar="FILE", show_default=False, help="Write to this file. Without it, to stdout.")
]
ReadFile: TypeAlias = Annotated[
    Path | None, typer.Argument(metavar="FILE", show_default=False, help="Read this file. Without it, stdin.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from mycelium_server.version import own_version

        typer.echo(f"mycelium {own_version()}")
        raise typer.Exit


# These two stand before the command, and say the same to all of them. Each setting has its own variables.
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", allow_from_autoenv=False,
        help="Read the configuration from this file (or name it in MYCELIUM_CONFIG). Without it, the project's own.",
    ),
]  # fmt: skip
SetSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", allow_from_autoenv=False,
        help="Use this value of a setting, named as `mycelium config` does. May be repeated.",
    ),
]  # fmt: skip
# Not to be set by a variable: with MYCELIUM_VERSION in its environment, no server would start.
Version: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, allow_from_autoenv=False, help="Print the version and end."
    ),
]


@app.callback(invoke_without_command=True)
def mycelium(
    context: typer.Context, config: ConfigFile = None, set_: SetSettings = None, version: Version = False
) -> None:
    """Lets many AI agents work as one team: shared tasks, presence, events and workflows."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@runs
async def serve(
    context: typer.Context,
    tools: Annotated[
        Literal["core", "all"] | None,
        typer.Option(
            envvar="MYCELIUM_TOOLS",
            show_default=False,
            help="Offer the core of tools, or all. Without it, what is configured, else the core.",
        ),
    ] = None,
    backend: Backend = "auto",
    agent: Agent = None,
) -> None:
    """Serve one MCP client over stdin and stdout."""
    from mycelium_server.cli.settings import configured, configured_tools
    from mycelium_server.serve import serve_stdio

    await serve_stdio(
        url=backend,
        agent=agent,
        profile=tools or configured_tools(backend),
        rabbitmq=lambda: configured(context, backend).settings.rabbitmq,
    )


@app.command()
@runs
async def doctor(
    context: typer.Context, backend: Backend = "auto", agent: Agent = None, as_json: AsJson = False
) -> None:
    """Say what was found, what is wrong and how to mend it.

    Changes nothing, and makes no store.
    """
    from mycelium_server.cli.checks import show_checks

    await show_checks(context, backend, agent, as_json=as_json)


@app.command()
@runs
async def config(context: typer.Context, backend: Backend = "auto", as_json: AsJson = False) -> None:
    """Show every setting that is in force and where it comes from.

    Passwords are hidden. `mycelium doctor` says which store follows from them.
    """
    from mycelium_server.cli.settings import show_config

    show_config(context, backend, as_json=as_json)


@runs
async def export_store(
    file: WrittenFile = None,
    format: Annotated[
        Literal["mycelium", "taskqueue"],
        typer.Option(help="Write everything as JSON lines, or the tasks alone as a JSON array in the task schema."),
    ] = "mycelium",
    backend: Backend = "auto",
    as_json: AsJson = False,
) -> None:
    """Write the whole store.

    The file appears when it is whole, or not at all. A dash stands for stdout.
    """
    from mycelium_server.cli.transfer import export_to

    await export_to(backend, file, format, as_json=as_json)


@runs
async def import_store(file: ReadFile = None, backend: Backend = "auto", as_json: AsJson = False) -> None:
    """Take over an export, or the tasks of another program.

    An export goes into a new store. The tasks.json of taskqueue-mcp or Task Master, and the folder of Backlog.md, go
    into any. All of it is taken, or nothing. A dash stands for stdin.
    """
    from mycelium_server.cli.importing import import_from

    await import_from(backend, file, as_json=as_json)


bench.add_to(app)
broker.add_to(app)
demo.add_to(app)
reading.add_to(app)
writing.add_to(app)
flow.add_to(app)
worker.add_to(app)
workbench.add_to(app)
app.command("export")(export_store)
app.command("import")(import_store)
