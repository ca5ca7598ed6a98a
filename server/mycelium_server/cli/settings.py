"""Flags over the configuration, and `mycelium config`, which shows what is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from mycelium.errors import MyceliumError

if TYPE_CHECKING:
    from mycelium.settings import Configuration
    from mycelium.settings.model import Tools


MODE: Final = "coordination.mode"
CONFIG_FILE: Final = "config"
"""Under which the name of another file travels with the settings."""
STORE: Final = "coordination."
"""What the names of settings begin with that say which store to use."""
SET: Final = "--set"
CONFIG: Final = "--config"


def settled(context: typer.Context, backend: str) -> str:
    """The URL for `--backend`, which takes along what flags say of the configuration.

    Raises:
        typer.BadParameter: there are such flags, but the store is named without the configuration.
    """
    flags = flags_of(context)
    if not flags or context.resilient_parsing:
        return backend
    if ":" in backend:
        if any(name.startswith(STORE) for name in flags):
            raise typer.BadParameter("a URL names the store whole, and this has nothing to add to it", param_hint=SET)
        return backend
    if backend != "auto" and MODE in flags:
        raise typer.BadParameter(f"beside the mode {backend} there can be no other", param_hint=f"{SET} {MODE}")
    from mycelium.settings import with_flags

    return with_flags(backend, flags)


def flags_of(context: typer.Context) -> dict[str, str]:
    """What `--set` and `--config`, which stand before the command, say."""
    given: Mapping[str, Any] = context.find_root().params
    flags = dict(_pair(each) for each in given.get("set_", None) or ())
    file: Path | None = given.get("config")
    return flags if file is None else flags | {CONFIG_FILE: str(file)}


def _pair(said: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"wanted is NAME=VALUE, not {said!r}", param_hint=SET)
    if name.strip() == CONFIG_FILE:  # which is not a setting, though it travels with them
        raise typer.BadParameter(f"there is no setting {name.strip()!r}; see {CONFIG}", param_hint=SET)
    return name.strip(), value


def configured_tools(backend: str) -> Tools:
    """The tools that the configuration wants agents to be offered; the core where the backend is a URL.

    A configuration that is wrong is told with the first call, which needs it for the store: until then, the core.
    """
    if ":" in backend and not backend.startswith("auto:"):  # before the import, which a server at a URL can do without
        return "core"
    try:
        return _configuration(backend).settings.tools
    except MyceliumError:
        return "core"


def configured(context: typer.Context, backend: str) -> Configuration:
    """What is in force for this command, whatever store it was told to use.

    Raises:
        InvalidConfig, UnknownBackend
    """
    from mycelium.settings import leaves_the_choice, with_flags

    return _configuration(backend if leaves_the_choice(backend) else with_flags("auto", flags_of(context)))


def show_config(context: typer.Context, backend: str, *, as_json: bool) -> None:
    """Print every setting, what is in force and who says so; secrets are hidden.

    Raises:
        InvalidConfig, UnknownBackend
    """
    from mycelium.settings import leaves_the_choice
    from mycelium_server.cli.output import Listing, show

    url_is_all, origin = not leaves_the_choice(backend), origin_of(context, "backend")
    config = configured(context, backend)
    rows = _rows(config)
    data = {
        "backend": {"value": _shown(backend), "from": origin},
        "file": str(config.file),
        "file_exists": config.file.is_file(),
        "settings": {name: {"value": value, "from": said_by} for name, value, said_by in rows},
    }
    lines = [("backend", _shown(backend), origin), *((name, _text(value), said_by) for name, value, said_by in rows)]
    more = _note(config, url_is_all=url_is_all)
    show(Listing(("setting", "value", "from"), lines, data, more=more), as_json=as_json)


def origin_of(context: typer.Context, flag: str) -> str:
    """Who set a flag, in the words of the configuration."""
    source = context.get_parameter_source(flag)
    match source.name if source else "":
        case "COMMANDLINE":
            return f"flag --{flag}"
        case "ENVIRONMENT":
            return f"variable MYCELIUM_{flag.upper()}"
        case _:
            return "default"


def _configuration(backend: str) -> Configuration:
    from mycelium.settings import configuration, surroundings_of

    return configuration(surroundings_of(backend))


def _rows(config: Configuration) -> Sequence[tuple[str, Any, str]]:
    from mycelium.settings import settings_shown

    return [(name, value, str(origin)) for name, value, origin in settings_shown(config)]


def _note(config: Configuration, *, url_is_all: bool) -> str:
    if url_is_all:
        return "The backend is a URL, which names the store whole: the settings are not asked."
    return f"{'Read from' if config.file.is_file() else 'No file at'} {config.file}."


def _text(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _shown(backend: str) -> str:
    """The backend as it was asked for, without a password, and without what other flags added."""
    from mycelium.settings.addresses import without_password

    return without_password(backend) if "://" in backend else backend.partition(":?")[0]
