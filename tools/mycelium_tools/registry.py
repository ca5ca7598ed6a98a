"""How a function becomes a tool."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, Final, TypeAlias, get_type_hints

import mcp_types
from mcp_types import ToolAnnotations
from pydantic import ValidationError, create_model

from mycelium import Mycelium
from mycelium.models import invalid
from mycelium_tools.arguments import Arguments, terse_schema
from mycelium_tools.reply import Reply

Function: TypeAlias = Callable[Concatenate[Mycelium, ...], Awaitable[Reply]]

READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS: Final = ToolAnnotations(destructive_hint=False, open_world_hint=False)
SETS: Final = ToolAnnotations(destructive_hint=False, idempotent_hint=True, open_world_hint=False)
ENDS: Final = ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False)


@dataclass(frozen=True, eq=False)
class Tool:
    """A function of an open client and named arguments, listed by its name, described by its docstring.

    `hints` leave out what is the protocol's default.
    """

    function: Function
    hints: ToolAnnotations

    @property
    def name(self) -> str:
        return self.function.__name__

    @cached_property
    def arguments(self) -> type[Arguments]:
        """The model that checks a call's arguments."""
        types = get_type_hints(self.function, include_extras=True)
        _client, *parameters = inspect.signature(self.function).parameters.values()
        fields: dict[str, Any] = {
            each.name: (types[each.name], ... if each.default is each.empty else each.default) for each in parameters
        }
        return create_model(self.name, __base__=Arguments, **fields)

    @cached_property
    def listed(self) -> mcp_types.Tool:
        """The tool as `tools/list` shows it."""
        return mcp_types.Tool(
            name=self.name,
            description=" ".join((self.function.__doc__ or "").split()),
            input_schema=terse_schema(self.arguments),
            annotations=self.hints,
        )

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments to call with. Null is the same as nothing said.

        Raises:
            InvalidInput: naming every argument that is wrong, missing or unknown.
        """
        try:
            values = self.arguments.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise invalid(error) from None
        return {name: getattr(values, name) for name in values.model_fields_set}


def tool(hints: ToolAnnotations) -> Callable[[Function], Tool]:
    """Make a tool of the function below."""
    return lambda function: Tool(function, hints)
