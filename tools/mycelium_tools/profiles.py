"""Which tools a server offers: the core that every agent needs, or all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from mycelium_tools import events, triggers, workflows
from mycelium_tools.core import CORE
from mycelium_tools.registry import Tool

Profile: TypeAlias = Literal["core", "all"]

ALL: Final = (
    *CORE,
    events.notify_user,
    workflows.list_workflows,
    workflows.update_workflow,
    workflows.complete_workflow,
    workflows.fail_workflow,
    workflows.control_workflow,
    triggers.create_trigger,
    triggers.list_triggers,
    triggers.set_trigger,
    triggers.remove_trigger,
)
"""None of them approves a task: that is for people."""

FOR_MODELS: Final = (*CORE, events.notify_user)
"""What a worker tells its model of, whose tasks can call all."""

PROFILES: Final[Mapping[Profile, tuple[Tool, ...]]] = {"core": CORE, "all": ALL}
