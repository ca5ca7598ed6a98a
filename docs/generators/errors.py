"""The errors, from their classes, from where they are raised, and from provoking them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from generators.blocks import code, table
from generators.provoked import provoked
from generators.replies import Order
from generators.source import calls, class_tree
from mycelium import MyceliumError, errors
from mycelium_server.calls import InternalError
from mycelium_server.cli.run import Usage, code_of

ROOTS = (errors.MyceliumError, errors.Refused, errors.StoreError)
"""Never raised themselves."""


@cache
def leaves() -> list[type[MyceliumError]]:
    """Every error that can come out, in the order of their tree."""
    tree = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MyceliumError)]
    return [*(each for each in tree if each not in ROOTS), Usage, InternalError]


def codes() -> str:
    """A row for each error."""
    return table(("code", "class", "meaning", "`data`", "exit code"), (_row(each) for each in leaves()))


def _row(leaf: type[MyceliumError]) -> tuple[str, str, str, str, str]:
    meaning = (leaf.__doc__ or "").partition("\n")[0]
    bare = leaf.__new__(leaf)
    status = "–" if leaf is InternalError else str(code_of(bare))
    return code(leaf.code), code(leaf.__name__), meaning, ", ".join(code(name) for name in _data(leaf)), status


def _data(leaf: type[MyceliumError]) -> list[str]:
    """The names in its data: those it is raised with, and those it came with when it was provoked."""
    named = [
        keyword.arg
        for call in [*calls(), *_own_calls(leaf)]
        if _is_made_by(call, leaf)
        for keyword in call.keywords
        if keyword.arg and keyword.arg != "hint"
    ]
    if "__init__" in vars(leaf):  # then only that says what goes into the data
        named = [keyword.arg for call in _own_calls(leaf) for keyword in call.keywords if keyword.arg != "hint"]
    came = [name for error in provoked() if type(error) is leaf for name in error.data]
    return sorted({name for name in [*named, *came] if name})


def _own_calls(leaf: type[MyceliumError]) -> Iterator[ast.Call]:
    """Where its own `__init__` calls that of the root."""
    for node in ast.walk(class_tree(leaf)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            yield node


def _is_made_by(call: ast.Call, leaf: type[MyceliumError]) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == leaf.__name__


def examples() -> str:
    """What each error says, word for word."""
    order = Order()
    lines = ["```text", *(order(f"{each.code}: {each}") for each in provoked()), "```"]
    return "\n".join(lines)
