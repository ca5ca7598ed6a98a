"""`sqlite:///relative/path` and `sqlite:////absolute/path`; `taskqueue:///path?max_tasks=5` for the same on terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from pydantic import Field, ValidationError

from mycelium.errors import UnknownBackend
from mycelium.models import MAX_SECONDS
from mycelium.models.base import Model, invalid
from mycelium.rules import NO_TERMS, Terms

PREFIX: Final = "sqlite:///"
TASKQUEUE: Final = "taskqueue:///"


class TaskQueue(Model):
    """What may stand behind the `?` of a task queue's URL."""

    poll_interval_ms: Annotated[int, Field(ge=10, le=3_600_000)] = 1000
    max_tasks: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    task_timeout_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = 300.0


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says: the file, and how it is used."""

    path: Path
    mode: str = "sqlite"
    terms: Terms = NO_TERMS
    poll_seconds: float | None = None
    """Between two looks at the file, where the URL says it."""

    @property
    def url(self) -> str:
        """The URL that opens the same from any folder."""
        if self.poll_seconds is None:
            return url_of(self.path)
        return taskqueue_url_of(
            self.path,
            poll_interval_ms=round(self.poll_seconds * 1000),
            max_tasks=self.terms.max_tasks,
            task_timeout_seconds=self.terms.task_timeout_seconds,
        )


def address_of(url: str) -> Address:
    """Take a URL apart.

    Raises:
        UnknownBackend: it names no file.
        InvalidInput: a term in it is wrong; names it.
    """
    if not url.startswith(TASKQUEUE):
        return Address(path_of(url))
    path, _, query = url.removeprefix(TASKQUEUE).partition("?")
    try:
        said = TaskQueue.model_validate(dict(parse_qsl(query, keep_blank_values=True)))
    except ValidationError as error:
        raise invalid(error) from None
    return Address(
        path_of(f"{PREFIX}{unquote(path)}"),
        mode="taskqueue",
        terms=Terms(max_tasks=said.max_tasks, task_timeout_seconds=said.task_timeout_seconds),
        poll_seconds=said.poll_interval_ms / 1000,
    )


def path_of(url: str) -> Path:
    """The absolute path of the file that this URL names; `~` is the home folder.

    Raises:
        UnknownBackend: it is not of the form `sqlite:///path`.
    """
    path = url.removeprefix(PREFIX)
    if path == url or not path or "\0" in path:
        raise UnknownBackend(
            f"{url!r} names no file.",
            hint="Write sqlite:///team.db for a file here, sqlite:////home/ada/team.db for an absolute path.",
            url=url,
        )
    return Path(path).expanduser().absolute()


def url_of(path: Path) -> str:
    """The URL that opens this file from any folder."""
    return f"{PREFIX}{path.absolute()}"


def taskqueue_url_of(path: Path, **terms: float | None) -> str:
    """The URL that opens this file as a task queue on these terms."""
    return f"{TASKQUEUE}{quote(str(path.absolute()))}?{urlencode(terms)}"
