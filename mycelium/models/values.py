"""Values that are not there yet when work is declared: references to them, and conditions on them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias, cast

from pydantic import BeforeValidator, Field, JsonValue, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from mycelium.models.base import Model

FROM: Final = "$from"
DEFAULT: Final = "default"
Operator = Literal["==", "!=", ">", ">=", "<", "<=", "in", "contains", "exists"]
ORDERED: Final[frozenset[Operator]] = frozenset({">", ">=", "<", "<="})


def _steps(value: object) -> object:
    if isinstance(value, str):
        return tuple(value.split("."))
    if not isinstance(value, list):
        return value
    return tuple(str(step) if isinstance(step, int) else step for step in cast("list[object]", value))


Step = Annotated[str, Field(min_length=1, max_length=128)]
Path = Annotated[tuple[Step, ...], BeforeValidator(_steps), Field(min_length=1, max_length=50)]
"""Where a value is: `survey.result.files.0`, or a list of the same steps where a name has a dot in it."""

_PATH: Final[TypeAdapter[tuple[str, ...]]] = TypeAdapter(Path)


def path_of(value: JsonValue) -> tuple[str, ...]:
    """The path that is written so. Raises pydantic's ValidationError where it is none."""
    return _PATH.validate_python(value)


def reference_in(value: JsonValue) -> JsonValue | None:
    """The path as it stands in `{"$from": path}`, or None if this is no reference. It may have a `default`."""
    if isinstance(value, dict) and FROM in value and value.keys() <= {FROM, DEFAULT}:
        return value[FROM]
    return None


class Condition(Model):
    """A question about values with a plain yes or no: one comparison, or some of them joined.

    Never code: `{"path": "survey.result.count", "op": ">", "value": 3}`, or `{"all": [...]}`, `{"any": [...]}`,
    `{"none": [...]}`.
    """

    path: Path | None = None
    op: Operator = "=="
    value: JsonValue = None
    all: Conditions | None = None
    any: Conditions | None = None
    none: Conditions | None = None

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        said = [name for name in ("path", "all", "any", "none") if getattr(self, name) is not None]
        if len(said) != 1:
            raise PydanticCustomError("condition", "give one of path, all, any and none")
        if self.path is not None and (problem := _unfit(self.op, self.value)):
            raise PydanticCustomError("condition", "{op} needs {problem}", {"op": self.op, "problem": problem})
        return self


Conditions: TypeAlias = Annotated[tuple[Condition, ...], Field(min_length=1, max_length=100)]
Condition.model_rebuild()


def _unfit(op: Operator, value: JsonValue) -> str | None:
    """What the operator wants its value to be, if it is something else."""
    if op in ORDERED and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        return "a number or a text as its value"
    if op == "in" and not isinstance(value, list):
        return "a list as its value"
    if op == "exists" and not isinstance(value, bool):
        return "true or false as its value"
    return None
