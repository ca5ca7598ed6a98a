"""Every setting, and every environment variable that Mycelium reads."""

from __future__ import annotations

from typing import Final

from generators.blocks import code, table
from generators.cli import Flag, before_commands, found
from mycelium.settings import Setting, settings

ELSEWHERE: Final = {
    "MYCELIUM_CONFIG": (
        "`--config FILE` before the command",
        "",
        "Read the configuration from this file instead of the project's own.",
    ),
    "MYCELIUM_LOG": (
        "no flag; `serve` and `worker` read it",
        "WARNING",
        (
            "From which level on logs go to stderr: DEBUG, INFO, WARNING, ERROR or CRITICAL. Another word means "
            "WARNING. Unless it is set, a worker without a terminal tells of each outcome as well."
        ),
    ),
}
"""Those that are not the variable of a flag: who reads it, the default, and what it does."""


def variables() -> str:
    """A row for each variable: those of several commands first."""
    by_variable: dict[str, list[Flag]] = {}
    for flag in (flag for command in found() for flag in command.flags if flag.variable):
        by_variable.setdefault(flag.variable, []).append(flag)
    shared = {name for name, flags in by_variable.items() if len(flags) > 1}
    rows = [_row(name, by_variable[name], shared=True) for name in by_variable if name in shared]
    rows += [(code(name), who, does, code(default)) for name, (who, default, does) in ELSEWHERE.items()]
    rows += [_row(name, flags, shared=False) for name, flags in by_variable.items() if name not in shared]
    return table(("variable", "the same as", "what it does", "default"), rows)


def _row(name: str, flags: list[Flag], *, shared: bool) -> tuple[str, str, str, str]:
    first = flags[0]
    flag = first.names if first.option else first.names.strip("[]")
    where = "every command that has it" if shared else f"`{first.command}`"
    return code(name), f"{code(flag)} of {where}", first.help, code(first.default)


def configuration() -> str:
    """A row for each setting that the configuration's file may hold."""
    rows = [(code(each.name), each.says, _default(each), _names(each)) for each in settings().values()]
    return table(("setting", "what it says", "default", "variables"), rows)


def _default(setting: Setting) -> str:
    return "" if setting.default is None else code(f"{setting.default:g}" if _is_number(setting) else setting.default)


def _is_number(setting: Setting) -> bool:
    return isinstance(setting.default, int | float)


def _names(setting: Setting) -> str:
    return ", ".join(code(name) for name in setting.variables)


def flags() -> str:
    """A row for each flag that stands before the command."""
    return table(("flag", "what it does"), [(code(each.names), each.help) for each in before_commands()])
