"""What real endpoints refuse in a request, so that a test notices what only a lenient one would take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PICTURES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
MOST_MARKS = 4
"""So many `cache_control` marks a request may have."""


def wrong_message(body: dict[str, Any], headers: Mapping[str, str]) -> str | None:
    """What the Messages API would not take, or None."""
    return next(_problems(body, headers), None)


def wrong_chat(body: dict[str, Any]) -> str | None:
    """What Chat Completions would not take, or None."""
    return next(_chat_problems(body), None)


def _problems(body: dict[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
    if not headers.get("authorization") and not headers.get("x-api-key"):
        yield "a key is missing"
    if not headers.get("anthropic-version"):
        yield "anthropic-version is missing"
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        yield "max_tokens: at least 1"
    if _marks(body) > MOST_MARKS:
        yield "cache_control: at most 4 blocks"
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice: there are no tools"
    tools = body.get("tools", [])
    yield from _tool_problems([(tool["name"], tool["input_schema"]) for tool in tools])
    messages = body["messages"]
    if not messages or messages[0]["role"] != "user":
        yield "messages: the first must be the user's"
    for number, message in enumerate(messages):
        yield from _block_problems(number, message)
        yield from _pair_problems(number, messages)
    if any(_uses(message) for message in messages) and not tools:
        yield "tools: there must be some where messages have tool_use blocks"


def _tool_problems(tools: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    names = [name for name, _ in tools]
    if len(set(names)) < len(names):
        yield "tools: names must be unique"
    for name, schema in tools:
        if not NAME.fullmatch(name):
            yield f"tools: {name!r} does not match {NAME.pattern}"
        if schema.get("type") != "object":
            yield f"tools: the schema of {name} must be of type object"


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _uses(message: dict[str, Any]) -> list[str]:
    return [block["id"] for block in _blocks(message) if block["type"] == "tool_use"]


def _results(message: dict[str, Any]) -> list[str]:
    return [block["tool_use_id"] for block in _blocks(message) if block["type"] == "tool_result"]


def _block_problems(number: int, message: dict[str, Any]) -> Iterator[str]:
    where = f"messages.{number}"
    blocks = _blocks(message)
    if not blocks:
        yield f"{where}: content must not be empty"
    for block in blocks:
        if block["type"] == "text" and not block["text"].strip():
            yield f"{where}: text content blocks must be non-empty"
        if block["type"] == "thinking" and not block["signature"]:
            yield f"{where}: signature is missing"
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            yield f"{where}: input must be an object"
        if block["type"] == "tool_result":
            yield from _result_problems(where, block)


def _result_problems(where: str, block: dict[str, Any]) -> Iterator[str]:
    parts: list[dict[str, Any]] = [] if isinstance(block.get("content"), str) else block.get("content", [])
    for part in parts:
        if part["type"] == "text" and not part["text"].strip():
            yield f"{where}: text content blocks must be non-empty"
        if part["type"] != "text" and block.get("is_error"):
            yield f'{where}: all content must be type "text" if "is_error" is true'
        if part["type"] == "image" and part["source"]["media_type"] not in PICTURES:
            yield f"{where}: media_type: {part['source']['media_type']}"


def _pair_problems(number: int, messages: list[dict[str, Any]]) -> Iterator[str]:
    """Each tool_use is answered in the very next message, and before anything else there."""
    where = f"messages.{number}"
    asked = _uses(messages[number - 1]) if number else []
    answered = _results(messages[number])
    if sorted(asked) != sorted(answered):
        yield f"{where}: tool_use ids {asked} were found without tool_result blocks immediately after: {answered}"
    kinds = [block["type"] == "tool_result" for block in _blocks(messages[number])]
    if kinds != sorted(kinds, reverse=True):
        yield f"{where}: tool_result blocks must come first"
    if number == len(messages) - 1 and _uses(messages[number]):
        yield f"{where}: tool_use without tool_result"


def _marks(value: Any) -> int:
    if isinstance(value, list):
        return sum(_marks(part) for part in cast("list[Any]", value))
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value)
        return ("cache_control" in parts) + sum(_marks(part) for part in parts.values())
    return 0


def _chat_problems(body: dict[str, Any]) -> Iterator[str]:
    tools = [tool["function"] for tool in body.get("tools", [])]
    yield from _tool_problems([(tool["name"], tool["parameters"]) for tool in tools])
    if body.get("tool_choice") and not tools:
        yield "tool_choice is only allowed when tools are specified"
    open_calls: list[str] = []
    for number, message in enumerate(body["messages"]):
        where = f"messages[{number}]"
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"{where}: a message of a tool must follow its call"
            else:
                open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            yield f"{where}: tool_call_ids without a response: {open_calls}"
        open_calls = [call["id"] for call in message.get("tool_calls", [])]
        for call in message.get("tool_calls", []):
            json.loads(call["function"]["arguments"])
        if message["role"] == "assistant" and not (message.get("content") or open_calls):
            yield f"{where}: an assistant's message must have content or tool_calls"
    if open_calls:
        yield f"tool_call_ids without a response: {open_calls}"
