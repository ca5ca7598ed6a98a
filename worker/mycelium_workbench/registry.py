"""How a function becomes a tool."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, TypeAlias, get_type_hints

import mcp_types
from mcp_types import ToolAnnotations
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import InvalidInput

if TYPE_CHECKING:
    from mycelium_workbench.reply import Reply

Function: TypeAlias = "Callable[Concatenate[Bench, ...], Awaitable[Reply]]"


class Arguments(BaseModel):
    """What one call passes. Each tool has a subclass made from its function's signature."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "give a number, not a boolean")
    return value


Number: TypeAlias = Annotated[float, BeforeValidator(_number)]
Whole: TypeAlias = Annotated[int, BeforeValidator(_number)]


class _Terse(GenerateJsonSchema):
    """JSON schemas without titles, nulls and empty defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        said = super().default_schema(schema)
        if said.get("default") in (None, "", False):
            said.pop("default", None)
        return said


@dataclass(frozen=True, eq=False)
class Tool:
    """A function of a bench and named arguments, listed by its name, described by its docstring."""

    function: Function
    hints: ToolAnnotations

    @property
    def name(self) -> str:
        return self.function.__name__

    @cached_property
    def arguments(self) -> type[Arguments]:
        """The model that checks a call's arguments."""
        types = get_type_hints(self.function, include_extras=True)
        _bench, *parameters = inspect.signature(self.function).parameters.values()
        fields: dict[str, Any] = {
            each.name: (types[each.name], ... if each.default is each.empty else each.default) for each in parameters
        }
        return create_model(self.name, __base__=Arguments, **fields)

    def listed(self, holds: str) -> mcp_types.Tool:
        """The tool as `tools/list` shows it, with what `holds` for commands in the place of `{holds}`."""
        schema = self.arguments.model_json_schema(schema_generator=_Terse)
        kept = {key: value for key, value in schema.items() if key in {"properties", "required", "$defs"}}
        return mcp_types.Tool(
            name=self.name,
            description=" ".join((self.function.__doc__ or "").split()).replace("{holds}", holds),
            input_schema={"type": "object", **kept},
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
            raise _invalid(error) from None
        return {name: getattr(values, name) for name in values.model_fields_set}


def tool(hints: ToolAnnotations) -> Callable[[Function], Tool]:
    """Make a tool of the function below."""
    return lambda function: Tool(function, hints)


def _invalid(error: ValidationError) -> InvalidInput:
    problems = [
        (".".join(str(part) for part in problem["loc"])[:100] or "arguments", problem["msg"])
        for problem in error.errors(include_url=False, include_input=False)[:20]
    ]
    said = "; ".join(f"{name}: {message}" for name, message in problems[:5])
    fields = sorted({name for name, _ in problems})
    return InvalidInput(f"Invalid {said}.", hint="Correct the named arguments and call again.", fields=fields)
