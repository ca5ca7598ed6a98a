"""The layers: what the file says, what variables say, what flags say. Each is checked by itself where it can be."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from mycelium.errors import InvalidConfig
from mycelium.settings.file import content_of, values_in
from mycelium.settings.model import Coordination, Tools
from mycelium.settings.names import settings
from mycelium.settings.network import Claude, OpenAI, RabbitMQ, Worker
from mycelium.settings.origin import Layer, Origin, nested
from mycelium.settings.problems import explained
from mycelium.settings.section import Section

MODE: Final = "coordination.mode"
SET: Final = "--set"
BACKEND_OR_SET: Final = "--backend or --set"
"""Either of them may name the mode."""
TASKQUEUE_MODE: Final = "TASKQUEUE_MODE"
"""Switches one mode on, where `MYCELIUM_MODE` names one."""
OURS: Final = (
    "MYCELIUM_REDIS_",
    "MYCELIUM_TASKQUEUE_",
    "MYCELIUM_MARKDOWN_",
    "MYCELIUM_RABBITMQ_",
    "MYCELIUM_WORKER_",
    "MYCELIUM_CLAUDE_",
    "MYCELIUM_OPENAI_",
)
"""What names of variables for settings begin with; other names that begin with `MYCELIUM_` are of flags."""
FLAGS: Final = tuple(
    f"MYCELIUM_WORKER_{flag}"
    for flag in ("CAPABILITY", "QUEUE", "TYPE", "ONCE", "UNTIL_EMPTY", "HEALTH_FILE", "HEALTH_PORT")
)
"""Variables of flags of `mycelium worker` that are no settings, though they begin as those do."""
SWITCH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("enabled", "true", "yes", "on", "1"), True),
    **dict.fromkeys(("disabled", "false", "no", "off", "0"), False),
}


class WholeFile(Section):
    """What a file may hold."""

    tools: Tools = "core"
    coordination: Coordination = Coordination()
    rabbitmq: RabbitMQ = RabbitMQ()
    worker: Worker = Worker()
    claude: Claude = Claude()
    openai: OpenAI = OpenAI()


def file_layer(file: Path | None, *, must_exist: bool = False) -> Layer:
    """What a file says; nothing where there is none.

    Raises:
        InvalidConfig: it cannot be read, is not JSON, or says what no setting could be.
    """
    origin = Origin("file", str(file))
    text = None if file is None else content_of(file, must_exist=must_exist)
    if file is None or text is None:
        return Layer({}, lambda _: origin)
    try:
        WholeFile.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise explained(error, lambda _: origin) from None
    return Layer(values_in(text, file), lambda _: origin)


def variable_layer(environ: Mapping[str, str]) -> Layer:
    """What variables say. An empty one says nothing.

    Raises:
        InvalidConfig: two of them contradict each other, a switch is neither on nor off, or a name is none of ours.
    """
    _check_names(environ)
    said: dict[str, tuple[str, str]] = {}
    for name, setting in settings().items():
        for variable in reversed(setting.variables):
            value = _switched(environ) if variable == TASKQUEUE_MODE else environ.get(variable)
            if value:
                said[name] = (variable, value)
    _check_modes(environ)
    values = {name: value for name, (_, value) in said.items()}
    return Layer(nested(values), lambda name: Origin("variable", said[name][0]))


def _check_names(environ: Mapping[str, str]) -> None:
    known = [*FLAGS, *(variable for setting in settings().values() for variable in setting.variables)]
    for name, value in environ.items():
        if value and name.startswith(OURS) and name not in known:
            nearest = get_close_matches(name, known, 1, cutoff=0)[0]
            raise InvalidConfig(
                f"variable {name}: there is no such setting.",
                hint=f"Did you mean {nearest}? `mycelium config` lists all settings.",
                variable=name,
            )


def _switched(environ: Mapping[str, str]) -> str | None:
    """The mode that `TASKQUEUE_MODE` switches on."""
    value = environ.get(TASKQUEUE_MODE)
    if not value:
        return None
    on = SWITCH.get(value.lower())
    if on is None:
        raise InvalidConfig(
            f"variable {TASKQUEUE_MODE}: must be 'enabled' or 'disabled'.",
            hint="Correct it, or unset it and name a mode with MYCELIUM_MODE.",
            variable=TASKQUEUE_MODE,
        )
    return "taskqueue" if on else None


def _check_modes(environ: Mapping[str, str]) -> None:
    named, switched = environ.get("MYCELIUM_MODE"), _switched(environ)
    if named and switched and named != switched:
        raise InvalidConfig(
            f"MYCELIUM_MODE says {named!r}, and {TASKQUEUE_MODE} says {switched!r}.",
            hint="Unset one of the two.",
            variables=["MYCELIUM_MODE", TASKQUEUE_MODE],
        )


def flag_layer(flags: Mapping[str, str]) -> Layer:
    """What flags say, by the names of settings.

    Raises:
        InvalidConfig: there is no such setting.
    """
    if unknown := [name for name in flags if name not in settings()]:
        raise InvalidConfig(
            f"flag {SET}: there is no setting {', '.join(map(repr, unknown))}.",
            hint="`mycelium config` lists them all.",
            settings=unknown,
        )
    return Layer(nested(flags), lambda name: Origin("flag", BACKEND_OR_SET if name == MODE else SET))
