"""What all records share: frozen, typed, keyed, versioned, and limited in size."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Self, TypeGuard, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError, PydanticSerializationError, from_json, to_json

from mycelium.errors import InvalidId, InvalidInput, TooLarge

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,127}")
MAX_JSON_BYTES: Final = 1024 * 1024
"""A payload, result, error, metadata or event may have this many bytes as JSON."""
MAX_PART_BYTES: Final = 64 * 1024
"""What is only a part of one of these may have this many."""
MAX_SECONDS: Final = 366 * 24 * 3600.0
"""The longest lease, timeout, delay or TTL: a year."""
START_OF_TIME: Final = datetime(1900, 1, 1, tzinfo=UTC)
END_OF_TIME: Final = datetime(9990, 1, 1, tzinfo=UTC)
WRAPPING: Final = 50
"""Levels of nesting that are kept for what a value is put into: readers of JSON refuse to go deeper than 200."""

READABLE_DIGITS: Final = 4300
"""Readers of JSON refuse longer numbers."""
READABLE: Final = 200
"""Bytes that cannot be nested too deeply with `WRAPPING` around them, nor hold such a number."""


def _within_limit(value: dict[str, JsonValue], *, limit: int = MAX_JSON_BYTES) -> dict[str, JsonValue]:
    try:
        written = to_json(value, inf_nan_mode="constants")
        size = len(written)
        if size > READABLE and (
            size > READABLE_DIGITS or any(isinstance(part, dict | list) for part in value.values())
        ):
            from_json(b"[" * WRAPPING + written + b"]" * WRAPPING)  # what nobody could read back is refused
    except (PydanticSerializationError, UnicodeEncodeError, ValueError, RecursionError) as error:
        raise PydanticCustomError("not_json", "not JSON: {reason}", {"reason": str(error)[:200]}) from None
    if size > limit:
        raise PydanticCustomError(
            "too_large", "{size} bytes as JSON, the limit is {limit}", {"size": size, "limit": limit}
        )
    return value


def is_id(value: object) -> TypeGuard[str]:
    """Whether this may be the id of a task or workflow, or the name of an agent."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _like(pattern: re.Pattern[str]) -> AfterValidator:
    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise PydanticCustomError("bad_id", "{value} is not a valid id", {"value": repr(value[:140])})
        return value

    return AfterValidator(check)


Id = Annotated[str, _like(_ID)]
Channel = Annotated[str, _like(_CHANNEL)]
Label = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
"""A short name on one line: a task's type, an event's type, a capability."""
Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
"""A number that only grows; what stores and readers of JSON can hold."""
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
"""How much of something is done: 1 is all of it."""
Moment = Annotated[AwareDatetime, Field(ge=START_OF_TIME, lt=END_OF_TIME)]
"""A time that can be reckoned with: adding `MAX_SECONDS` still gives one."""
Line = Annotated[str, StringConstraints(max_length=500)]
"""A title or a note."""
Cursor = Annotated[str, StringConstraints(max_length=256)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_within_limit)]


def _value_within(value: JsonValue) -> JsonValue:
    if isinstance(value, dict | list):
        _within_limit({"": value})
    return value


JsonWithin = Annotated[JsonValue, AfterValidator(_value_within)]
"""Any value that fits where a `JsonObject` does."""


def _beside_others(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _within_limit(value, limit=MAX_PART_BYTES)
    _within_limit({"": value})
    return value


JsonPart = Annotated[dict[str, JsonValue], AfterValidator(_beside_others)]
"""A smaller one, which fits into a `JsonObject` beside other things."""


_set: Final = object.__setattr__
"""Past the freeze, for what is just being made."""


class Model(BaseModel):
    """A frozen value that refuses unknown fields, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")

    @classmethod
    def whole(cls, **fields: object) -> Self:
        """Made of all its fields, which are valid already: nothing is checked or filled in."""
        return _made(cls, fields, {*fields})

    def altered(self, **fields: object) -> Self:
        """This with other fields, which are taken as they are. As `model_copy`, at half the time."""
        return _made(type(self), {**self.__dict__, **fields}, self.__pydantic_fields_set__)


class Record(Model, ABC):
    """A thing the store keeps under a key, with a version that grows by one at each change."""

    kind: ClassVar[str]
    version: Annotated[int, Field(ge=1, lt=2**63, strict=True)] = 1

    @property
    @abstractmethod
    def key(self) -> str:
        """What it is found by: unique among its kind."""

    @property
    def due_at(self) -> datetime | None:
        """When time alone will change this record (a lease runs out, an agent goes silent), or None."""
        return None

    def changed(self, **fields: object) -> Self:
        """The next version of this record. `fields` are taken as they are: rules pass valid values."""
        return self.altered(**fields, version=self.version + 1)


M = TypeVar("M", bound=Model)


def _made(model: type[M], fields: dict[str, object], said: set[str]) -> M:
    """A model of all its fields, of which these were `said`, without a look at any of them."""
    made = model.__new__(model)
    _set(made, "__dict__", fields)
    _set(made, "__pydantic_fields_set__", said)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


def validated(model: type[M], /, **fields: object) -> M:
    """Build `model` from values that came from outside.

    Raises:
        InvalidId, TooLarge or InvalidInput, naming every field that is wrong.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> InvalidInput:
    """Say in our words what pydantic found wrong."""
    problems = [
        (".".join(str(part) for part in problem["loc"])[:100] or "value", problem["msg"], problem["type"])
        for problem in error.errors(include_url=False, include_input=False)[:20]  # names may come from outside, too
    ]
    kinds = {kind for _, _, kind in problems}
    leaf = TooLarge if kinds == {"too_large"} else InvalidId if kinds == {"bad_id"} else InvalidInput
    said = "; ".join(f"{field}: {message}" for field, message, _ in problems[:5])
    return leaf(f"Invalid {said}.", hint=HINTS[leaf], fields=sorted({field for field, _, _ in problems}))


HINTS: Final = {
    InvalidInput: "Correct the named fields and call again; nothing was stored.",
    InvalidId: "Use letters, digits, '.', '_' and '-', starting with a letter or digit, at most 128 characters.",
    TooLarge: "Store a path or a link instead of the data itself; nothing was stored.",
}
