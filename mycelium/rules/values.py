"""What references and conditions come to, and which there may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from pydantic import JsonValue, ValidationError

from mycelium.errors import UnknownReference
from mycelium.models import Condition
from mycelium.models.values import DEFAULT, FROM, ORDERED, path_of, reference_in

Look: TypeAlias = Callable[[str], JsonValue]
"""Gives the value that a path begins at. Raises Unresolved where there is none."""

LITERAL: Final = "literal"
"""Where a reference begins that leads nowhere: its default is meant as it is, though it may look like a reference."""
OF_A_TASK: Final = ("result", "error", "status")
"""What of a task may be referred to."""
KINDS: Final[Mapping[type, str]] = {
    bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object",
}  # fmt: skip


class Unresolved(Exception):
    """A value cannot be had; its text says why."""


def resolve(value: JsonValue, look: Look, *, only: Set[str] | None = None, again: bool = False) -> JsonValue:
    """The value with every reference in it replaced; where `only` is given, those that begin there.

    What is found is never looked into for references, for it came from others. Where what comes of this is resolved
    `again` later, it is marked as what it is.

    Raises:
        Unresolved: something that is referred to is not there, and there is no default.
    """
    written = reference_in(value)
    if written is not None:
        path = path_of(written)
        if only is not None and path[0] not in only:
            return value
        found = _referred(cast("dict[str, Any]", value), path, look)
        return {FROM: [LITERAL], DEFAULT: found} if again and refers(found) else found
    if isinstance(value, dict):
        return {name: resolve(each, look, only=only, again=again) for name, each in value.items()}
    if isinstance(value, list):
        return [resolve(each, look, only=only, again=again) for each in value]
    return value


def _referred(reference: dict[str, JsonValue], path: tuple[str, ...], look: Look) -> JsonValue:
    try:
        return find(path, look)
    except Unresolved:
        if DEFAULT in reference:
            return reference[DEFAULT]
        raise


def find(path: tuple[str, ...], look: Look) -> JsonValue:
    """The value at this path. Raises Unresolved, naming the step that leads nowhere."""
    if path[0] == LITERAL:
        raise Unresolved("a literal is what its default says, and it has none")
    value = look(path[0])
    for number, step in enumerate(path[1:], 1):
        value = _step(value, step, ".".join(path[:number]))
    return value


def _step(value: JsonValue, step: str, so_far: str) -> JsonValue:
    if isinstance(value, dict):
        if step in value:
            return value[step]
        raise Unresolved(f"{so_far} has no {step!r}; it has {_some(value)}")
    if isinstance(value, list):
        if step.isascii() and step.isdigit() and len(step) < 9 and int(step) < len(value):
            return value[int(step)]
        raise Unresolved(f"{so_far} has no {step!r}; it is a list of {len(value)}")
    raise Unresolved(f"{so_far} is {_kind(value)}, so it has no {step!r}")


def _some(names: Mapping[str, object]) -> str:
    every = sorted(names)
    return ", ".join(name[:40] for name in ([*every[:8], "..."] if len(every) > 8 else every)) or "nothing"


def _kind(value: JsonValue) -> str:
    return KINDS.get(type(value), "nothing")


def holds(condition: Condition, look: Look) -> bool:
    """Whether the condition is true.

    Raises:
        Unresolved: a value is not there, or of a type that cannot be compared so.
    """
    if condition.all is not None:
        return all(holds(each, look) for each in condition.all)
    if condition.any is not None:
        return any(holds(each, look) for each in condition.any)
    if condition.none is not None:
        return not any(holds(each, look) for each in condition.none)
    return _compared(condition, cast("tuple[str, ...]", condition.path), look)


def _compared(condition: Condition, path: tuple[str, ...], look: Look) -> bool:
    if condition.op == "exists":
        return _is_there(path, look) == condition.value
    found, wanted = find(path, look), condition.value
    if condition.op in ORDERED:
        return _ordered(condition, found, ".".join(path))
    match condition.op:
        case "==":
            return _same(found, wanted)
        case "!=":
            return not _same(found, wanted)
        case "in":
            return any(_same(found, each) for each in cast("list[JsonValue]", wanted))
        case _:
            return _contains(found, wanted, ".".join(path))


def _is_there(path: tuple[str, ...], look: Look) -> bool:
    try:
        return find(path, look) is not None
    except Unresolved:
        return False


def _same(one: JsonValue, other: JsonValue) -> bool:
    """To Python, but not to JSON, `1` and `true` are equal."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _ordered(condition: Condition, found: JsonValue, where: str) -> bool:
    wanted = condition.value
    texts = isinstance(found, str) and isinstance(wanted, str)
    numbers = _is_number(found) and _is_number(wanted)
    if not texts and not numbers:
        raise Unresolved(f"{where} is {_kind(found)}, which {condition.op!r} cannot compare with {_said(wanted)}")
    one, two = cast("Any", found), cast("Any", wanted)
    return {">": one > two, ">=": one >= two, "<": one < two, "<=": one <= two}[condition.op]


def _said(value: JsonValue) -> str:
    return repr(value)[:80]


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(found: JsonValue, wanted: JsonValue, where: str) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return wanted in found
    if isinstance(found, list):
        return any(_same(each, wanted) for each in found)
    if isinstance(found, dict) and isinstance(wanted, str):
        return wanted in found
    raise Unresolved(f"{where} cannot contain {_said(wanted)}")


def refers(value: JsonValue) -> bool:
    """Whether there is a reference in it."""
    if isinstance(value, dict):
        return FROM in value or any(map(refers, value.values()))
    return isinstance(value, list) and any(map(refers, value))


@dataclass(slots=True)
class Binder:
    """Makes references exact while work is declared: each begins with a task's id, or with a root such as `item`."""

    where: str
    """What the references belong to, for errors."""
    tasks: Mapping[str, str]
    """The ids of the tasks that may be referred to, by what they are called."""
    roots: Set[str] = frozenset()
    used: dict[str, None] = field(default_factory=dict[str, None])
    """The tasks that are referred to."""

    def value(self, value: JsonValue) -> JsonValue:
        """The value with its references made exact.

        Raises:
            UnknownReference: one begins at nothing that is there.
        """
        written = reference_in(value)
        if written is not None:
            exact: dict[str, JsonValue] = {**cast("dict[str, JsonValue]", value), FROM: [*self.path(written)]}
            return exact
        if isinstance(value, dict):
            if FROM in value:
                raise self._crowded(value)
            return {name: self.value(each) for name, each in value.items()}
        return [self.value(each) for each in value] if isinstance(value, list) else value

    def condition(self, condition: Condition) -> Condition:
        """The same for a condition's paths."""
        if condition.path is not None:
            exact = condition.path[0] in self.tasks or condition.path[0] in self.roots
            written = [*condition.path] if exact else ".".join(condition.path)
            return condition.model_copy(update={"path": self.path(cast("JsonValue", written))})
        parts = {
            name: tuple(self.condition(each) for each in joined)
            for name in ("all", "any", "none")
            if (joined := getattr(condition, name)) is not None
        }
        return condition.model_copy(update=parts)

    def path(self, written: JsonValue) -> tuple[str, ...]:
        """The path, beginning with an id or a root."""
        try:
            steps = path_of(written)
        except ValidationError:
            raise self._unknown(written, "Write it like survey.result.files.") from None
        if steps[0] in self.roots or steps[0] == LITERAL:
            return steps
        length = len(steps) if isinstance(written, str) else 1
        found = next((n for n in range(length, 0, -1) if ".".join(steps[:n]) in self.tasks), None)
        if found is None:
            raise self._unknown(written, self._choice())
        id, rest = self.tasks[".".join(steps[:found])], steps[found:]
        if not rest or rest[0] not in OF_A_TASK:
            raise self._unknown(written, f"Of a task one can refer to {', '.join(OF_A_TASK)}: say NAME.result.KEY.")
        self.used[id] = None
        return (id, *rest)

    def _crowded(self, value: Mapping[str, JsonValue]) -> UnknownReference:
        return UnknownReference(
            f"{self.where} has a reference with more in it: {_some(value)}.",
            hint=f"Beside {FROM} only {DEFAULT} may stand.",
            of=self.where,
        )

    def _choice(self) -> str:
        named = [*sorted(self.roots), *self.tasks]
        shown = ", ".join([*named[:10], "..."] if len(named) > 10 else named)
        return f"It may begin with: {shown}." if shown else "Name the task in depends_on."

    def _unknown(self, written: JsonValue, hint: str) -> UnknownReference:
        said = ".".join(map(str, written)) if isinstance(written, list) else str(written)
        return UnknownReference(
            f"{self.where} refers to {said[:140]!r}, which is not there.", hint=hint, path=said[:500], of=self.where
        )
