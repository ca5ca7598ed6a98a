"""From what a server answers to what a model reads."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Final, cast

from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import JsonValue

from mycelium_worker.toolbox import Picture, Reply

MOST_TEXT: Final = 256 * 1024
"""Characters of a reply that are passed on."""
MOST_PICTURES: Final = 20
LARGEST_PICTURE: Final = 5 * 1024 * 1024
"""Characters of base64."""
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def failed(text: str, *, again: bool = False) -> Reply:
    """A reply that says what went wrong, and whether that lay with the server."""
    return Reply(text=_cut(text), is_error=True, again=again)


def reply_of(result: CallToolResult) -> Reply:
    """What a tool answered, as much of it as can be read."""
    pictures = _pictures(result.content)
    said = [text for text in (_text(block, pictures) for block in result.content) if text]
    structured = cast("JsonValue", result.structured_content)
    compact = "" if structured is None else json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
    return Reply(
        text=_cut("\n".join(said) or ("" if pictures else compact)),
        structured=structured if len(compact) <= MOST_TEXT else None,
        pictures=list(pictures.values()),
        is_error=result.is_error,
    )


def _cut(text: str) -> str:
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n[cut here: {len(text) - MOST_TEXT} of {len(text)} characters are left out]"


def _pictures(blocks: Sequence[ContentBlock]) -> dict[int, Picture]:
    """Those that a model can look at, by the identity of their blocks."""
    good = [block for block in blocks if isinstance(block, ImageContent) and _is_picture(block)]
    return {id(block): Picture(block.mime_type, block.data) for block in good[:MOST_PICTURES]}


def _is_picture(block: ImageContent) -> bool:
    if block.mime_type not in PICTURES or not 0 < len(block.data) <= LARGEST_PICTURE:
        return False
    try:
        return bool(base64.b64decode(block.data, validate=True))
    except (binascii.Error, ValueError):
        return False


def _text(block: ContentBlock, pictures: dict[int, Picture]) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent():
            return "" if id(block) in pictures else f"[a picture ({block.mime_type}), left out]"
        case AudioContent():
            return f"[a sound ({block.mime_type}), left out]"
        case ResourceLink():
            about = f": {block.description}" if block.description else ""
            return f"[a link to {block.title or block.name}, {block.uri}{about}]"
        case EmbeddedResource(resource=resource):
            if isinstance(resource, TextResourceContents):
                return resource.text
            return f"[{resource.uri} ({resource.mime_type or 'unknown type'}), left out]"
