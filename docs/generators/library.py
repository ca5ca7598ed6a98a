"""The library's verbs, from their signatures and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Final

from generators.source import public_functions, signature
from mycelium import Mycelium, errors
from mycelium.client.agents import AgentVerbs
from mycelium.client.approvals import ApprovalVerbs
from mycelium.client.base import Base
from mycelium.client.batches import BatchVerbs
from mycelium.client.events import EventVerbs
from mycelium.client.housekeeping import Housekeeping
from mycelium.client.monitor import MonitorVerbs
from mycelium.client.notifications import NotificationVerbs
from mycelium.client.pipeline import Call, Pipeline
from mycelium.client.tasks import TaskVerbs
from mycelium.client.transfer import Transfer
from mycelium.client.triggers import TriggerVerbs
from mycelium.client.waiting import WaitVerbs
from mycelium.client.work import WorkVerbs
from mycelium.client.workflows import WorkflowVerbs

ERRORS: Final = re.compile(rf"\b({'|'.join(each for each in vars(errors) if each[0].isupper())})\b")
PARTS: Final = (
    ("Open a store", Mycelium),
    ("Hand work out", TaskVerbs),
    ("Do work", WorkVerbs),
    ("Say and see who is there", AgentVerbs),
    ("Events", EventVerbs),
    ("Tell people", NotificationVerbs),
    ("Workflows", WorkflowVerbs),
    ("Triggers", TriggerVerbs),
    ("For people: approvals", ApprovalVerbs),
    ("Many at once", BatchVerbs),
    ("Watch work to its end", MonitorVerbs),
    ("Wait", WaitVerbs),
    ("Move a store", Transfer),
    ("The rest", Base),
    ("What happens in the background", Housekeeping),
)
OF_PIPELINES: Final = {"execute", "result"}
"""What users call on a pipeline and on its calls, besides the verbs."""


def verbs() -> str:
    """A section for each part of the client."""
    sections = (_section(title, part) for title, part in PARTS)
    return "\n\n".join("\n\n".join(section) for section in (*sections, _pipeline()))


def _section(title: str, part: type) -> Iterator[str]:
    yield f"## {title}"
    for node in public_functions(part):
        yield from _verb(node)


def _verb(node: ast.FunctionDef | ast.AsyncFunctionDef, client: str = "m") -> Iterator[str]:
    yield f"### `{node.name}`"
    yield f"```py\n{_prefix(node, client)}{signature(node)}\n```"
    if text := _text(node):
        yield text


def _pipeline() -> Iterator[str]:
    """What a pipeline promises, and the verbs it has."""
    yield "## In a pipeline"
    yield inspect.getdoc(Pipeline) or ""
    verbs = [name for name in vars(Pipeline) if name[0] != "_" and hasattr(Mycelium, name)]
    yield f"It has {', '.join(f'`{name}`' for name in verbs)}."
    for cls, name in ((Pipeline, "p"), (Call, "call")):
        for node in public_functions(cls):
            if node.name in OF_PIPELINES:
                yield from _verb(node, name)


def _prefix(node: ast.FunctionDef | ast.AsyncFunctionDef, client: str = "m") -> str:
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    if "asynccontextmanager" in marks:
        return "async with Mycelium."
    if "staticmethod" in marks:
        return "await Mycelium."
    if "property" in marks:
        return f"{client}."
    if any(isinstance(inner, ast.Yield) for inner in ast.walk(node)):
        return f"async for each in {client}."
    return f"await {client}." if isinstance(node, ast.AsyncFunctionDef) else f"{client}."


def _text(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    said, _, raised = (ast.get_docstring(node) or "").partition("\n\nRaises:\n")
    if not raised:
        return said
    errors = "\n".join(f"- {line}" for line in _entries(inspect.cleandoc(raised)))
    return f"{said}\n\nRaises:\n\n{errors}"


def _entries(raised: str) -> Iterator[str]:
    """The entries of a `Raises:` section, the names of errors as code."""
    for line in raised.splitlines():
        names, colon, why = line.partition(":")
        yield ERRORS.sub(r"`\g<0>`", names) + colon + why
