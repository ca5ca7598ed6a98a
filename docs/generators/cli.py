"""The command line, from its own definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

import typer

from generators.blocks import code, table
from mycelium_server.cli.app import app


@dataclass(frozen=True, slots=True)
class Flag:
    """An option or an argument of a command."""

    command: str
    names: str
    variable: str
    default: str
    help: str
    option: bool


@dataclass(frozen=True, slots=True)
class Command:
    """One command with what it takes."""

    name: str
    help: str
    flags: list[Flag]

    @property
    def usage(self) -> str:
        arguments = "".join(f" {flag.names}" for flag in self.flags if not flag.option)
        return f"mycelium {self.name}{arguments}"


def found() -> list[Command]:
    """Every command, in the order of its help."""
    # Typer's own classes have no public types to look into, hence Any.
    group = cast("Any", typer.main.get_command(app))
    prefix: str = group.context_settings["auto_envvar_prefix"]
    return [
        Command(name, each.help, [_flag(name, param, prefix) for param in each.params])
        for name, each in group.commands.items()
    ]


def before_commands() -> list[Flag]:
    """The flags that stand before the command and say the same to all of them."""
    group = cast("Any", typer.main.get_command(app))
    return [_flag("", param, "") for param in group.params if param.name != "version"]


def _flag(command: str, param: Any, prefix: str) -> Flag:
    option = param.param_type_name == "option"
    variable: str = param.envvar or ""
    if option and not variable and param.allow_from_autoenv:
        variable = f"{prefix}_{command}_{param.name}".upper().replace("-", "_")
    default = "" if param.default in (None, "", False) else str(param.default)
    return Flag(command, _names(param, option=option), variable, default, (param.help or "").strip(), option)


def _names(param: Any, *, option: bool) -> str:
    choices = _choices(param.type_descriptor.annotation)
    if not option:
        name = str(param.metavar or param.name).strip("[]").upper()
        return name if param.required else f"[{name}]"
    value = "" if param.is_flag else f" {choices or param.metavar or param.name.upper()}"
    return f"{', '.join(sorted(param.opts, key=len))}{value}"


def _choices(annotation: Any) -> str:
    members = [annotation, *get_args(annotation)]
    literal = next((each for each in members if get_origin(each) is Literal), None)
    return "|".join(str(each) for each in get_args(literal)) if literal else ""


def commands() -> str:
    """A section for each command."""
    return "\n\n".join("\n\n".join(_section(command)) for command in found())


def _section(command: Command) -> Iterator[str]:
    yield f"## `{command.usage}`"
    yield command.help
    if command.flags:
        rows = [(code(flag.names), flag.help, code(flag.default), code(flag.variable)) for flag in command.flags]
        yield table(("flag or argument", "what it does", "default", "variable"), rows)
