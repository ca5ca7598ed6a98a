"""Lines of a byte stream, and what each of them says in JSON-RPC."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

log = logging.getLogger("mycelium.server")

MAX_LINE = 16 * 1024 * 1024
"""Bytes of the longest line that is read: 16 times the largest payload allowed by default."""


class LineTooLong(ValueError):
    """A line was longer than the limit, and was dropped."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a message may have {limit} bytes at most, this one was longer and was dropped")

    def __len__(self) -> int:
        return 0


Line: TypeAlias = bytearray | LineTooLong


class LineSplitter:
    """Cuts a byte stream into lines, and holds `limit` bytes and one chunk of a line at most."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._line = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk, blank ones left out; an over-long one as its error."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._grow(piece)
            yield from self.end()
        self._grow(rest)

    def _grow(self, piece: bytes) -> None:
        if self._too_long:
            return
        self._line += piece
        if len(self._line) > self._limit:
            self._too_long, self._line = True, bytearray()

    def end(self) -> Iterator[Line]:
        """Yield what came since the last newline, if anything: at the end of the stream it is a line too."""
        line, self._line = self._line, bytearray()
        if self._too_long:
            self._too_long = False
            yield LineTooLong(self._limit)
        elif line and not line.isspace():
            yield line


def parse_line(line: Line) -> SessionMessage | ValueError:
    """Read one message; bytes that are not UTF-8 read as U+FFFD, as in the SDK's own transport."""
    if isinstance(line, LineTooLong):
        return line
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        try:
            line.decode()
        except UnicodeDecodeError:
            return parse_line(bytearray(line.decode(errors="replace"), "utf-8"))
        return error
    if isinstance(message, JSONRPCNotification) and _awaits_an_answer(message, line):
        return ValueError("a request's id must be text or a whole number")
    return SessionMessage(message)


def _awaits_an_answer(message: JSONRPCNotification, line: bytearray) -> bool:
    # A request whose id is null or a fraction reads as a notification. Real ones may have a null id: no harm in that.
    return not message.method.startswith("notifications/") and "id" in from_json(bytes(line))


def refuse_line(line: Line) -> JSONRPCError:
    """Make the answer that JSON-RPC 2.0 wants for a line that is no message: -32700 or -32600."""
    if isinstance(line, LineTooLong):
        return _refusal(PARSE_ERROR, f"Parse error: {line}", None)
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _refusal(PARSE_ERROR, f"Parse error: the line is not JSON: {error}", None)
    return _refusal(
        INVALID_REQUEST, "Invalid request: the line is JSON, but no JSON-RPC 2.0 message", _request_id(found)
    )


def _request_id(found: object) -> RequestId | None:
    # Only a request's id is echoed: a broken response carries one of ours, and would settle the wrong call.
    if not isinstance(found, dict) or "method" not in found:
        return None
    request_id = cast("dict[str, Any]", found).get("id")
    return request_id if isinstance(request_id, int | str) and _is_echoable(request_id) else None


def _is_echoable(request_id: int | str) -> bool:
    # `json.loads` lets half of a surrogate pair through, which no answer can carry.
    try:
        str(request_id).encode()
    except UnicodeEncodeError:
        return False
    return not isinstance(request_id, bool)


def _refusal(code: int, message: str, request_id: RequestId | None) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))


def write_line(message: JSONRPCMessage) -> bytes | None:
    """Make one message's line. An answer that is no JSON becomes an error for its sender, anything else None."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except (PydanticSerializationError, ValueError, RecursionError):  # one message must not end the connection
        log.exception("a message could not be written as JSON")
    if not isinstance(message, JSONRPCResponse | JSONRPCError):
        return None
    request_id = message.id if message.id is not None and _is_echoable(message.id) else None
    return write_line(_refusal(INTERNAL_ERROR, "Internal error: the answer could not be written as JSON", request_id))
