"""A workflow as a diagram for documents: in Mermaid's language, or in Graphviz's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mycelium.models import Task
from mycelium_server.cli.output import printable
from mycelium_server.cli.steps import steps_of
from mycelium_server.cli.tree import UNDO, Tree

Edge: TypeAlias = Literal["after", "within", "undo"]

IN_ARROWS: Final[dict[Edge, str]] = {"after": "-->", "within": "-.->", "undo": "-. undo .->"}
IN_DOT: Final[dict[Edge, str]] = {"after": "", "within": " [style=dotted]", "undo": " [style=dashed, label=undo]"}
COLOURS: Final = {
    "pending": "#fff3bf",
    "running": "#c5f6fa",
    "completed": "#d3f9d8",
    "failed": "#ffc9c9",
    "cancelled": "#eebefa",
    "skipped": "#e9ecef",
}
"""How a task is filled, by its status."""
IN_MERMAID: Final = str.maketrans(
    {'"': "#quot;", "#": "#35;", "<": "#lt;", ">": "#gt;", "`": "#96;", "&": "#amp;", "\\": "#92;"}
)


@dataclass(frozen=True, slots=True)
class Diagram:
    """How a language says things. Nodes go by made-up names, since ids may have anything in them."""

    begin: Callable[[str], Iterator[str]]
    node: Callable[[str, list[str], str], str]
    edge: Callable[[str, str, Edge], str]
    group: Callable[[str, str], str]
    end_group: str
    end: str


def mermaid(tree: Tree) -> str:
    """The workflow as a flowchart of Mermaid."""
    return "\n".join(_drawn(tree, MERMAID))


def dot(tree: Tree) -> str:
    """The workflow as a graph of Graphviz."""
    return "\n".join(_drawn(tree, DOT))


def _drawn(tree: Tree, diagram: Diagram) -> Iterator[str]:
    workflow = tree.workflow
    yield from diagram.begin(f"{workflow.type} {workflow.id} {workflow.status}")
    yield from _within(tree, diagram, names := _names(tree, {}))
    yield from _edges(tree, diagram, names)
    yield diagram.end


def _names(tree: Tree, names: dict[str, str]) -> dict[str, str]:
    """A name for each task, by its id."""
    for task in tree.tasks:
        names[task.id] = f"n{len(names)}"
        if inner := tree.opened(task):
            _names(inner, names)
    return names


def _within(tree: Tree, diagram: Diagram, names: dict[str, str]) -> Iterator[str]:
    for task in tree.tasks:
        yield diagram.node(names[task.id], list(_label(tree, task)), task.status)
        if inner := tree.opened(task):
            yield diagram.group(f"in_{names[task.id]}", printable(inner.workflow.type))
            yield from _within(inner, diagram, names)
            yield diagram.end_group


def _label(tree: Tree, task: Task) -> Iterator[str]:
    yield printable(tree.name(task.id))
    yield task.status
    if asked := tree.asked(task):
        yield printable(f"if {asked}")
    yield from map(printable, tree.remarks(task))


def _edges(tree: Tree, diagram: Diagram, names: dict[str, str]) -> Iterator[str]:
    for task in tree.tasks:
        yield from (diagram.edge(names[key], names[task.id], "after") for key in task.depends_on if key in names)
        if task in tree.undoing:
            yield diagram.edge(names[task.id.removesuffix(UNDO)], names[task.id], "undo")
        if inner := tree.opened(task):
            first = steps_of(inner.declared)[:1]
            yield from (diagram.edge(names[task.id], names[each.id], "within") for step in first for each in step.tasks)
            yield from _edges(inner, diagram, names)


def _begin_mermaid(title: str) -> Iterator[str]:
    yield f"%% {printable(title)}"
    yield "flowchart TD"
    yield from (f"    classDef {status} fill:{colour},color:#000" for status, colour in COLOURS.items())


def _mermaid_text(text: str) -> str:
    return text.translate(IN_MERMAID)


MERMAID: Final = Diagram(
    begin=_begin_mermaid,
    node=lambda name, label, status: f'    {name}["{"<br/>".join(map(_mermaid_text, label))}"]:::{status}',
    edge=lambda one, other, kind: f"    {one} {IN_ARROWS[kind]} {other}",
    group=lambda name, title: f'    subgraph {name}["{_mermaid_text(title)}"]',
    end_group="    end",
    end="",
)


def _begin_dot(title: str) -> Iterator[str]:
    yield "digraph {"
    yield f"    label={_dot_text(printable(title))};"
    yield "    node [shape=box, style=filled];"


def _dot_text(*lines: str) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


DOT: Final = Diagram(
    begin=_begin_dot,
    node=lambda name, label, status: f'    {name} [label={_dot_text(*label)}, fillcolor="{COLOURS[status]}"];',
    edge=lambda one, other, kind: f"    {one} -> {other}{IN_DOT[kind]};",
    group=lambda name, title: f"    subgraph cluster_{name} {{ label={_dot_text(title)};",
    end_group="    }",
    end="}",
)
