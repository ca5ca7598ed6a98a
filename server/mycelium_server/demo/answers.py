"""What a worker answers: the blocks in a task's result."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError


class Block(BaseModel):
    """A text, or what the tool of this name found."""

    type: str
    text: str = ""
    name: str = ""
    results: Any = None


class _Result(BaseModel):
    response: tuple[Block, ...]


def blocks_of(result: object) -> tuple[Block, ...]:
    """The blocks of a result; none where it has none."""
    try:
        return _Result.model_validate(result).response
    except ValidationError:
        return ()
