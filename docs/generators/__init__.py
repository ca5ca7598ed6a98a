"""What makes parts of the documentation from the code, by the name that pages use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from generators import cli, errors, events, library, records, settings, states, tools

MAKERS: Final[Mapping[str, Callable[[], str]]] = {
    "cli": cli.commands,
    "configuration": settings.configuration,
    "error-table": errors.codes,
    "errors": errors.examples,
    "events": events.types,
    "flags": settings.flags,
    "library": library.verbs,
    "records": records.tables,
    "settings": settings.variables,
    "task-states": states.task_diagram,
    "task-transitions": states.task_table,
    "tool-replies": tools.reference,
    "tools": tools.overview,
    "trigger-states": states.trigger_diagram,
    "trigger-transitions": states.trigger_table,
    "workflow-states": states.workflow_diagram,
    "workflow-transitions": states.workflow_table,
}
