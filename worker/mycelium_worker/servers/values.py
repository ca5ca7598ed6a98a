"""The values in an MCP file as what they are for: flags, texts with variables in them, lists and tables of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mycelium_worker.servers.json_places import Field, Fields, Place, Placed
from mycelium_worker.servers.problems import Problem, once
from mycelium_worker.servers.variables import MissingVariable, expanded


class Values:
    """Reads the values of one server's fields, and notes what is wrong with them."""

    def __init__(self, server: str, environment: Mapping[str, str], problems: list[Problem]) -> None:
        self.environment: Mapping[str, str] | None = environment
        """Where variables come from; without it they stay as they are written."""
        self._server = server
        self._problems = problems

    def wrong(self, at: Place, says: str) -> None:
        self._problems.append(Problem(at, f"server {self._server!r}: {says}", self._server))

    def flag(self, field: Field | None) -> bool:
        if field is None:
            return False
        if not isinstance(field.value.value, bool):
            self.wrong(field.value.at, f"{field.key!r} must be true or false")
        return field.value.value is True

    def text(self, field: Field | None, *, filled: bool = False) -> str | None:
        if field is None:
            return None
        text = self._expanded(field.value, f"{field.key!r}")
        if text == "" and filled:
            self.wrong(field.value.at, f"{field.key!r} is empty")
        return text

    def texts(self, field: Field | None) -> tuple[str, ...]:
        if field is None:
            return ()
        if not isinstance(field.value.value, tuple):
            self.wrong(field.value.at, f"{field.key!r} must be a list of texts")
            return ()
        return tuple(self._expanded(item, f"each of {field.key!r}") or "" for item in field.value.value)

    def table(self, field: Field | None, problem_with: Callable[[str, str], str | None]) -> dict[str, str]:
        if field is None:
            return {}
        if not isinstance(field.value.value, Fields):
            self.wrong(field.value.at, f"{field.key!r} must be an object of texts")
            return {}
        table: dict[str, str] = {}
        for key, inner in once(field.value.value, self._problems, f"{field.key}: ", self._server).items():
            value = self._expanded(inner.value, f"{field.key}: {key!r}") or ""
            if problem := problem_with(key, value):
                self.wrong(inner.at, f"{field.key}: {key!r}: {problem}")
            table[key] = value
        return table

    def _expanded(self, placed: Placed, what: str) -> str | None:
        """The text with its variables' values; None where there is none, which is noted."""
        text = placed.value
        if not isinstance(text, str):
            self.wrong(placed.at, f"{what} must be text{_in_quotes(text)}")
            return None
        try:
            text = text if self.environment is None else expanded(text, self.environment)
        except MissingVariable as missing:
            self.wrong(
                placed.at, f"{what}: ${{{missing.name}}} is not set: set it, or write ${{{missing.name}:-default}}"
            )
            return None
        if not can_be_passed_on(text):
            self.wrong(placed.at, f"{what} has characters that cannot be passed on")
            return None
        return text


def _in_quotes(value: object) -> str:
    return ": put it in quotes" if isinstance(value, int | float) else ""


def can_be_passed_on(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return False
