"""The types of tools' arguments: lenient where the meaning is plain, strict where it is not.

Models often send numbers as text and objects as JSON text: both are taken. A boolean is no number, and a time
without a zone is no time.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import DatetimeSchema, DictSchema, NullableSchema, WithDefaultSchema

NUMBERS: Final = (
    "max_attempts",
    "retry_backoff",
    "timeout_seconds",
    "seconds",
    "tokens",
    "turns",
    "every_seconds",
    "value",
)
"""The fields that are numbers, of the tasks of a workflow, of budgets and of triggers."""


class Arguments(BaseModel):
    """What one call passes. Each tool has a subclass made from its function's signature."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "give a number, not a boolean")
    return value


def _unquoted(value: object) -> object:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _object(value: object) -> object:
    unquoted = _unquoted(value)
    if unquoted is not None and not isinstance(unquoted, dict):
        raise PydanticCustomError("object", "give a JSON object, such as {example}", {"example": '{"key": "value"}'})
    return cast("object", unquoted)


def _list(value: object) -> object:
    unquoted = _unquoted(value)
    if unquoted is not None and not isinstance(unquoted, list):
        raise PydanticCustomError("list", "give a list, such as {example}", {"example": '["a", "b"]'})
    return cast("object", unquoted)


def _tasks(value: object) -> object:
    listed = _list(value)
    return [_with_numbers(task) for task in cast("list[object]", listed)] if isinstance(listed, list) else listed


def _with_numbers(spec: object) -> object:
    """A task or a workflow as the library takes it, which wants numbers where these models write text."""
    if not isinstance(spec, dict):
        return spec
    fields = cast("dict[str, object]", spec)
    within = {name: _with_numbers(fields[name]) for name in ("undo", "workflow", "budget") if name in fields}
    inner = fields.get("tasks")
    if isinstance(inner, list):
        within["tasks"] = [_with_numbers(task) for task in cast("list[object]", inner)]
    return {**fields, **within, **{name: _plain(fields[name]) for name in NUMBERS if name in fields}}


def _parts_with_numbers(value: object) -> object:
    """The same for each of the things that an object has: what a trigger's `when` and `then` look like."""
    parts = _object(value)
    if not isinstance(parts, dict):
        return parts
    return {name: _with_numbers(_unquoted(part)) for name, part in cast("dict[str, object]", parts).items()}


def _plain(value: object) -> object:
    """`"3"` and `3.0` as 3; what is no number stays for the library to refuse."""
    try:
        number = float(value) if isinstance(value, str | float) else None
    except ValueError:
        number = None
    if number is None:
        return value
    return int(number) if number.is_integer() else number


def _moment(value: object) -> object:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise PydanticCustomError("time", "give an ISO 8601 time, such as 2030-01-31T09:00:00Z")
    if moment.tzinfo is None:
        raise PydanticCustomError("zone", "the time has no zone: add Z for UTC, or an offset such as +02:00")
    return moment


Number: TypeAlias = Annotated[float, BeforeValidator(_number)]
Whole: TypeAlias = Annotated[int, BeforeValidator(_number)]
Object: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_object)]
Texts: TypeAlias = Annotated[list[str], BeforeValidator(_list)]
Moment: TypeAlias = Annotated[datetime, BeforeValidator(_moment)]
TextOrObject: TypeAlias = Annotated[
    str | dict[str, Any], BeforeValidator(_unquoted), WithJsonSchema({"type": "string"})
]
"""Listed as text, which every client can send; an object is as good."""

Parts: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_parts_with_numbers)]
"""Of a trigger."""
Amounts: TypeAlias = Annotated[dict[str, Any], BeforeValidator(lambda value: _with_numbers(_object(value)))]
"""Of a budget."""
Tasks: TypeAlias = Annotated[list[str | dict[str, Any]], BeforeValidator(_tasks)]

LeaseToken: TypeAlias = Annotated[Whole | None, Field(description="If claimed elsewhere")]


class _Terse(GenerateJsonSchema):
    """JSON schemas without what a model can do without: titles, nulls and empty defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        said = super().default_schema(schema)
        if said.get("default") in (None, "", [], False):
            said.pop("default", None)
        return said

    def datetime_schema(self, schema: DatetimeSchema) -> JsonSchemaValue:
        return {"type": "string"}

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        return {"type": "object"}


def terse_schema(arguments: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, as short as it can be.

    That unknown arguments are refused goes without saying: an error names them, where a listing would say it of each
    tool to every agent.
    """
    schema = arguments.model_json_schema(schema_generator=_Terse)
    body = {key: value for key, value in schema.items() if key not in {"title", "description", "additionalProperties"}}
    return {"type": "object", "properties": {}, **body}
