"""How a scripted answer looks on the wire: as events of the Messages API, or as chunks of Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.model_script import Answer, Part, Say, Think, Use

PIECE = 7
"""Characters to a piece, so that most texts come in several."""
MOST_PIECES = 500
"""Longer texts come in longer ones."""
FINISH = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}


def message_events(answer: Answer, model: str) -> list[str]:
    """Server-sent events from `message_start` to `message_stop`."""
    usage = answer.usage
    begun = {
        "input_tokens": usage.get("input", 0),
        "output_tokens": 1,
        "cache_read_input_tokens": usage.get("cache_read", 0),
        "cache_creation_input_tokens": usage.get("cache_write", 0),
    }
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": begun,
    }  # fmt: skip
    events = [_event("message_start", message=message), _event("ping")]
    for index, part in enumerate(answer.parts):
        events += _block(index, part)
    delta = {"stop_reason": answer.reason, "stop_sequence": None, "stop_details": answer.details}
    return [
        *events,
        _event("message_delta", delta=delta, usage={"output_tokens": usage.get("output", 0)}),
        _event("message_stop"),
    ]


def _block(index: int, part: Part) -> list[str]:
    block, deltas = _said(index, part)
    return [
        _event("content_block_start", index=index, content_block=block),
        *(_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        _event("content_block_stop", index=index),
    ]


def _said(index: int, part: Part) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The block as it begins, and what is added to it."""
    match part:
        case Say(text):
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(text)]
        case Think():
            return _thought(part)
        case Use():
            begun: dict[str, Any] = {
                "type": "tool_use",
                "id": part.id or f"toolu_{index}",
                "name": part.name,
                "input": {},
            }
            return begun, [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(written(part))]


def _thought(part: Think) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.signature}, []
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(part.text)]
    signed = [{"type": "signature_delta", "signature": part.signature}] if part.signature else []
    return {"type": "thinking", "thinking": "", "signature": ""}, deltas + signed


def written(use: Use) -> str:
    """The arguments as the model writes them."""
    return use.arguments if isinstance(use.arguments, str) else json.dumps(use.arguments)


def _pieces(text: str) -> Sequence[str]:
    piece = max(PIECE, len(text) // MOST_PIECES)
    return [text[start : start + piece] for start in range(0, len(text), piece)]


def _event(type: str, **data: Any) -> str:
    return f"event: {type}\ndata: {json.dumps({'type': type, **data})}\n\n"


def chat_chunks(answer: Answer, model: str) -> list[str]:
    """Chunks up to the one with the usage, and `[DONE]`. Thought has no place in this format."""
    chunks = [_chunk(model, {"role": "assistant", "content": ""})]
    uses = 0
    for part in answer.parts:
        if isinstance(part, Say):
            chunks += [_chunk(model, {"content": piece}) for piece in _pieces(part.text)]
        elif isinstance(part, Use):
            chunks += [_chunk(model, {"tool_calls": [call]}) for call in _calls(uses, part)]
            uses += 1
    if answer.details is not None:
        chunks.append(_chunk(model, {"refusal": answer.details["explanation"]}))
    usage = {
        "prompt_tokens": answer.usage.get("input", 0) + answer.usage.get("cache_read", 0),
        "completion_tokens": answer.usage.get("output", 0),
        "total_tokens": sum(answer.usage.values()),
        "prompt_tokens_details": {"cached_tokens": answer.usage.get("cache_read", 0)},
    }
    finish = _chunk(model, {}, FINISH[answer.reason])
    return [*chunks, finish, _data({**_frame(model), "choices": [], "usage": usage}), "data: [DONE]\n\n"]


def _calls(index: int, use: Use) -> list[dict[str, Any]]:
    """A call in its pieces: the name first, then the arguments."""
    begun = {"name": use.name, "arguments": ""}
    first = {"index": index, "id": use.id or f"call_{index}", "type": "function", "function": begun}
    return [first, *({"index": index, "function": {"arguments": piece}} for piece in _pieces(written(use)))]


def _chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> str:
    return _data({**_frame(model), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None})


def _frame(model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}


def _data(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"
