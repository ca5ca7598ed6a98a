"""The tools, from what agents get to see of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from generators.blocks import code, table
from generators.replies import Example, Order, examples
from mycelium_tools.core import CORE
from mycelium_tools.profiles import ALL
from mycelium_tools.registry import Tool


def overview() -> str:
    """A row for each tool of the core profile."""
    return table(("tool", "arguments", "what it does"), (_row(tool) for tool in CORE))


def _row(tool: Tool) -> tuple[str, str, str]:
    said = (tool.listed.description or "").partition(". ")[0].rstrip(".")
    return code(tool.name), ", ".join(_properties(tool)) or "–", f"{said}."


def reference() -> str:
    """A section for each tool, with real replies."""
    order = Order()
    told: dict[str, list[str]] = {}
    for each in examples():
        told.setdefault(each.tool, []).append(order(_example(each)))
    return "\n\n".join("\n\n".join([*_section(tool), *told[tool.name]]) for tool in ALL)


def _properties(tool: Tool) -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", tool.listed.input_schema["properties"])


def _section(tool: Tool) -> Iterator[str]:
    yield f"## `{tool.name}`"
    yield f"{tool.listed.description} *({_hints(tool)})*"
    if tool not in CORE:
        yield "Only where all tools are offered (`MYCELIUM_TOOLS=all`)."
    required = cast("list[str]", tool.listed.input_schema.get("required", []))
    rows = [
        (code(name), _type(said), _default(said, required=name in required), str(said.get("description", "")))
        for name, said in _properties(tool).items()
    ]
    yield table(("argument", "type", "default", "meaning"), rows) if rows else "It takes no arguments."


def _hints(tool: Tool) -> str:
    hints = tool.hints
    if hints.read_only_hint:
        return "only reads"
    words = ["may end what others do" if hints.destructive_hint else "ends nothing that others do"]
    return ", ".join(words + (["twice is as good as once"] if hints.idempotent_hint else []))


def _type(said: dict[str, Any]) -> str:
    if options := said.get("enum"):
        return ", ".join(code(str(option)) for option in options)
    kinds = {"array": "list of text", "object": "JSON object", "string": "text", "integer": "whole number"}
    return kinds.get(str(said.get("type")), str(said.get("type", "")))


def _default(said: dict[str, Any], *, required: bool) -> str:
    return "must be given" if required else code(str(said.get("default", "")))


def _example(example: Example) -> str:
    return "\n".join(
        [
            "```json",
            json.dumps({"name": example.tool, "arguments": example.arguments}),
            "```",
            "",
            "```text",
            example.text,
            "```",
            "",
            "<details><summary>structured content</summary>",
            "",
            "```json",
            json.dumps(example.data, indent=2),
            "```",
            "",
            "</details>",
        ]
    )
