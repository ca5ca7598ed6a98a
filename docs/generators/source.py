"""What only the source tells: docstrings of attributes, signatures as they were written, and calls."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = ("mycelium", "backends", "tools", "server")
WIDTH: Final = 100
"""Characters of a signature on one line."""


@cache
def class_tree(cls: type) -> ast.ClassDef:
    """The class as it was written."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    return tree


@cache
def trees() -> list[ast.Module]:
    """Every module of Mycelium."""
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return [ast.parse(file.read_text(encoding="utf-8")) for file in files]


@cache
def calls() -> list[ast.Call]:
    """Every call in Mycelium's own code."""
    return [node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]


def attribute_docs(cls: type) -> dict[str, str]:
    """The text below each attribute, of the class and of those it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("mycelium"):
            body = class_tree(base).body
            for attribute, following in pairwise(body):
                if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name):
                    found |= {attribute.target.id: text} if (text := _text(following)) else {}
    return found


def _text(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""


def public_functions(cls: type) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions that a class itself offers to its users, in their order."""
    return [
        node
        for node in class_tree(cls).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    ]


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """`name(arguments) -> result`, without self, on several lines where it is long."""
    arguments = list(_arguments(node.args))
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    short = f"{node.name}({', '.join(arguments)}){result}"
    if len(short) <= WIDTH:
        return short
    return f"{node.name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){result}"


def _arguments(args: ast.arguments) -> Iterator[str]:
    positional = args.args[1:] if args.args and args.args[0].arg in {"self", "cls"} else args.args
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    for argument, default in zip(positional, defaults, strict=True):
        yield _argument(argument, default)
    if args.kwonlyargs:
        yield "*"
    for argument, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _argument(argument, default)
    if args.kwarg:
        yield f"**{_argument(args.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    preset = f" = {_double_quoted(ast.unparse(default))}" if default else ""
    return f"{argument.arg}{kind}{preset}"


def _double_quoted(text: str) -> str:
    return re.sub(r"^'([^']*)'$", r'"\1"', text)
