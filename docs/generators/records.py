"""The records' fields, from their models."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Final

from generators.blocks import code, table
from generators.meanings import MEANINGS
from generators.source import attribute_docs, class_tree
from mycelium import models
from mycelium.client import WorkState
from mycelium.models import trigger

SHOWN: Final[tuple[type, ...]] = (
    models.Task,
    models.Lease,
    models.Approval,
    models.Budget,
    models.Spent,
    models.Agent,
    models.Event,
    models.Workflow,
    models.WorkflowTask,
    models.WorkflowSpec,
    models.Condition,
    models.Trigger,
    models.When,
    trigger.OnEvent,
    trigger.OnSchedule,
    trigger.OnStatistic,
    trigger.OnAgent,
    models.Then,
    models.Keeper,
    models.Page,
    models.EventPage,
    models.Stats,
    WorkState,
)
LIMITS: Final = {
    "ge": "from {}",
    "gt": "above {}",
    "le": "up to {}",
    "lt": "before {}",
    "min_length": "at least {} long",
}
LIMITS_OF_TEXT: Final = {"max_length": "at most {} long"}
IN_WORDS: Final = {"MAX_SECONDS": "a year", "END_OF_TIME": "the year 9999"}


def tables() -> str:
    """A section for each record."""
    return "\n\n".join("\n\n".join(_section(cls)) for cls in SHOWN)


def _section(cls: type) -> Iterator[str]:
    yield f"## `{cls.__name__}`"
    yield inspect.getdoc(cls) or ""
    docs = attribute_docs(cls)
    yield table(("field", "type", "default", "meaning"), (_row(cls, each, docs) for each in _fields(cls)))
    if rows := list(_properties(cls)):
        yield table(("worked out", "type", "meaning"), rows)


def _fields(cls: type) -> Iterator[ast.AnnAssign]:
    """The fields as they were written; one that is written again, in its last form."""
    found: dict[str, ast.AnnAssign] = {}
    for base in reversed(cls.__mro__):
        for node in class_tree(base).body if base.__module__.startswith("mycelium") else ():
            if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation):
                found[ast.unparse(node.target)] = node
    yield from found.values()


def _row(cls: type, node: ast.AnnAssign, docs: dict[str, str]) -> tuple[str, str, str, str]:
    name = ast.unparse(node.target)
    default = ast.unparse(node.value) if node.value else ""
    if default.startswith("field("):
        default = "{}"
    return code(name), _type(node.annotation), code(default.replace("'", '"')), _meaning(cls, name, docs)


def _meaning(cls: type, name: str, docs: dict[str, str]) -> str:
    if name in docs:
        return docs[name]
    bases = [f"{base.__name__}.{name}" for base in cls.__mro__]
    return next((MEANINGS[each] for each in bases if each in MEANINGS), "")


def _type(annotation: ast.expr) -> str:
    """`Annotated[float, Field(ge=0, le=1)] | None` as `float | None`, from 0, up to 1."""
    limits = [
        LIMITS.get(keyword.arg or "", LIMITS_OF_TEXT.get(keyword.arg or "", "")).format(_in_words(keyword.value))
        for call in ast.walk(annotation)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
    ]
    bare = ast.unparse(_Bare().visit(ast.parse(ast.unparse(annotation), mode="eval"))).replace("'", '"')
    return ", ".join([code(bare), *(limit for limit in limits if limit)])


def _in_words(value: ast.expr) -> str:
    """A limit as readers need it: where it is a name, in words or as the number that it stands for."""
    said = ast.unparse(value)
    if isinstance(value, ast.Name) and said not in IN_WORDS:
        return f"{getattr(models, said):,}"
    return IN_WORDS.get(said, said)


class _Bare(ast.NodeTransformer):
    """Takes `Annotated` away."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
            return node.slice.elts[0]
        return node


def _properties(cls: type) -> Iterator[tuple[str, str, str]]:
    """What records tell besides their fields, where it says what it is."""
    for base in reversed(cls.__mro__):
        for node in class_tree(base).body if base.__module__.startswith("mycelium") else ():
            if isinstance(node, ast.FunctionDef) and (said := ast.get_docstring(node)) and _is_for_readers(node):
                shown = node.name if node.decorator_list else f"{node.name}(now)"
                yield code(shown), code(ast.unparse(node.returns)) if node.returns else "", said


def _is_for_readers(node: ast.FunctionDef) -> bool:
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    return ("property" in marks and "abstractmethod" not in marks) or node.name == "ready"
