"""How a command runs and ends: its exit code, and its last words on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import wraps
from typing import Any, ClassVar, Final, ParamSpec

import anyio
import typer
from typer.exceptions import TyperException

from mycelium.errors import InvalidInput, InvalidMcpFile, MyceliumError, NotFound, StoreError
from mycelium_server.cli.streams import give_up_stdout, lost_output, ready_streams

REFUSED: Final = 1
"""The state of the store says no, what was asked for is not there, or a check failed."""
USAGE: Final = 2
"""The command line, or a value in it, is wrong."""
STORE: Final = 3
"""The store cannot be used, or the broker."""
BROKER: Final = frozenset({"broker_unavailable", "broker_refused"})
"""The codes of errors that are RabbitMQ's, whose classes only its own room knows."""
DEADLINE: Final = 124
"""What was waited for did not come in time: as `timeout` of the system ends."""
INTERRUPTED: Final = 130

P = ParamSpec("P")


class Usage(InvalidInput):
    """The command line makes no sense."""

    code: ClassVar[str] = "usage"


def run(app: typer.Typer, args: Sequence[str]) -> int:
    """Run one command line and give its exit code. What goes wrong is told in one line on stderr."""
    ready_streams()
    try:
        command = typer.main.get_command(_narrowed(app, args))
        code: Any = command.main(list(args), prog_name="mycelium", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        tell(_usage(error), as_json=_wants_json(args))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if (lost := lost_output(error)) is None:
            raise
        give_up_stdout()
        tell(lost, as_json=_wants_json(args))
        return USAGE
    return code if isinstance(code, int) else 0


def _narrowed(app: typer.Typer, args: Sequence[str]) -> typer.Typer:
    """The app with the one command that is asked for, if it is one: to build them all takes 10 ms."""
    asked = [each for each in app.registered_commands if args and args[0] == (each.name or _name_of(each.callback))]
    if not asked:
        return app
    narrowed = copy(app)
    narrowed.registered_commands = asked
    return narrowed


def _name_of(command: Callable[..., Any] | None) -> str | None:
    return getattr(command, "__name__", None)


def runs(command: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Make a command of an async function: it runs to its end, and what goes wrong becomes an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await command(*args, **kwargs)

        try:
            anyio.run(main)
            sys.stdout.flush()
        except MyceliumError as error:
            tell(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            give_up_stdout()  # whoever read has seen enough
            raise typer.Exit(0) from None

    return run


def tell(error: MyceliumError, *, as_json: bool) -> None:
    """Say on stderr what is wrong and what to do, in one line, or one for each mistake in a file of MCP servers."""
    from mycelium_server.cli.output import printable

    if isinstance(error, NotFound):
        lists = " and ".join(f"`mycelium {kind}s`" for kind in str(error.data["kind"]).split(" or "))
        error.hint = f"{lists} {'show' if ' and ' in lists else 'shows'} what there is."
    if as_json:
        typer.echo(json.dumps({"error": error.as_dict()}, default=str), err=True)
    else:
        said = f"{error.code}: {error}"
        for line in said.splitlines() if isinstance(error, InvalidMcpFile) else [said]:
            typer.echo(printable(line), err=True)


def code_of(error: MyceliumError) -> int:
    """The exit code for an error."""
    match error:
        case InvalidInput():
            return USAGE
        case StoreError():
            return STORE
        case _ if error.code in BROKER:
            return STORE
        case _:
            return REFUSED


def _usage(error: TyperException) -> Usage:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "mycelium"
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    return Usage(said if said.endswith("?") else f"{said}.", hint=f"`{command} --help` says what there is.")


def _wants_json(args: Sequence[str]) -> bool:
    """The command line could not be read, so this can only be guessed."""
    return "--json" in args or os.environ.get("MYCELIUM_JSON", "").lower() in {"1", "true", "yes", "on"}
