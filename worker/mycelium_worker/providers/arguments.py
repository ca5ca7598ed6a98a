"""The arguments of a tool as a model wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from mycelium_worker.plain import plain


def arguments_in(written: str) -> tuple[Mapping[str, JsonValue], str | None]:
    """The arguments, or none and what is wrong with them. Nothing written means that there are none."""
    try:
        arguments = json.loads(written or "{}", parse_constant=_no_number)
        sound = json.loads(plain(json.dumps(arguments, ensure_ascii=False)))
    except (ValueError, RecursionError) as error:
        return {}, f"they are not JSON: {error}" if isinstance(error, ValueError) else "they are nested too deeply"
    if not isinstance(sound, dict):
        return {}, "they are not a JSON object"
    return cast("dict[str, JsonValue]", sound), None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
