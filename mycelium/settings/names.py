"""Every setting by its name, read from the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mycelium.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Setting:
    """What the model says of one setting."""

    name: str
    """As one finds it in the file: `coordination.redis.db`."""
    says: str
    default: Any
    variables: tuple[str, ...]
    """That set it, the first before the others."""


@cache
def settings() -> Mapping[str, Setting]:
    """All of them by name, in their order."""
    return MappingProxyType({each.name: each for each in _of(Settings, "")})


def _of(model: type[BaseModel], before: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _of(inner, f"{before}{name}.")
        else:
            yield Setting(f"{before}{name}", field.description or "", field.default, _variables(field))


def _variables(field: FieldInfo) -> tuple[str, ...]:
    extra = cast("Mapping[str, list[str]]", field.json_schema_extra or {})
    return tuple(extra.get("variables", ()))


def value_of(model: BaseModel, name: str) -> Any:
    """The value under a dotted name."""
    value: Any = model
    for step in name.split("."):
        value = getattr(value, step)
    return value
