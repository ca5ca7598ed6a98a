"""One server of an MCP file, and all that can be wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from shutil import which
from typing import Final
from urllib.parse import urlsplit

from mycelium_worker.servers.json_places import Field, Fields, Place, Placed
from mycelium_worker.servers.spec import HttpServer, ServerSpec, StdioServer
from mycelium_worker.servers.variables import MissingVariable, expanded

KEYS: Final = ("type", "command", "args", "env", "cwd", "url", "headers", "disabled")
IGNORED: Final = frozenset({"description", "autoApprove", "alwaysAllow"})
"""Other clients' notes to themselves: nobody is asked here before a tool is called."""
STDIO_ONLY: Final = ("command", "args", "env", "cwd")
HTTP_ONLY: Final = ("url", "headers")
HTTP: Final = frozenset({"http", "streamable-http", "streamableHttp"})

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    at: Place
    says: str
    server: str | None = None


def near(key: str, known: Iterable[str]) -> str | None:
    """The key that was meant, perhaps."""
    by_folded = {each.casefold(): each for each in known}
    found = get_close_matches(key.casefold(), by_folded, n=1, cutoff=0.75)
    return by_folded[found[0]] if found else None


def once(fields: Fields, problems: list[Problem], kind: str = "", server: str | None = None) -> dict[str, Field]:
    """The fields by their keys, each of which may stand there once."""
    kept: dict[str, Field] = {}
    for field in fields.all:
        if (first := kept.setdefault(field.key, field)) is not field:
            says = f"{kind}{field.key!r} is there twice, first on line {first.at.line}: leave one of them out"
            problems.append(Problem(field.at, f"server {server!r}: {says}" if server else says, server or field.key))
    return kept


def server_in(entry: Field, folder: Path, environment: Mapping[str, str], problems: list[Problem]) -> ServerSpec | None:
    """The server under this name; None where it is disabled, or something is wrong, which is then among `problems`."""
    before = len(problems)
    reader = _Entry(entry.key, folder, environment, problems)
    if not _NAME.fullmatch(entry.key):
        reader.wrong(entry.at, "its name must be 1 to 64 letters, digits, '_' and '-': give it another one")
    if not isinstance(entry.value.value, Fields):
        reader.wrong(entry.value.at, 'an object is wanted, such as {"command": "…"} or {"type": "http", "url": "…"}')
        return None
    fields = once(entry.value.value, problems, server=entry.key)
    server = reader.read(entry, fields)
    return server if len(problems) == before else None


class _Entry:
    """Reads a server's fields, and notes what is wrong with them."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], problems: list[Problem]) -> None:
        self._name = name
        self._folder = folder
        self._environment: Mapping[str, str] | None = environment
        self._problems = problems

    def wrong(self, at: Place, says: str) -> None:
        self._problems.append(Problem(at, f"server {self._name!r}: {says}", self._name))

    def read(self, entry: Field, fields: Mapping[str, Field]) -> ServerSpec | None:
        self._look_for_unknown(fields)
        disabled = self._flag(fields.get("disabled"))
        if disabled:
            self._environment = None  # its variables need not be set
        kind = self._kind(entry, fields)
        if kind is None:
            return None
        server = self._stdio(fields) if kind == "stdio" else self._http(fields)
        return None if disabled else server

    def _look_for_unknown(self, fields: Mapping[str, Field]) -> None:
        for key, field in fields.items():
            if key not in KEYS and key not in IGNORED:
                meant = near(key, KEYS)
                advice = f"did you mean {meant!r}?" if meant else f"there are {', '.join(KEYS)}"
                self.wrong(field.at, f"unknown key {key!r}: {advice}")

    def _kind(self, entry: Field, fields: Mapping[str, Field]) -> str | None:
        said = self._text(fields.get("type"))
        if "type" in fields and said not in {"stdio", *HTTP}:
            self.wrong(fields["type"].value.at, _type_advice(said))
            return None
        if "command" in fields and "url" in fields:
            self.wrong(max(fields["command"].at, fields["url"].at), "both 'command' and 'url': leave one of them out")
            return None
        if "command" not in fields and "url" not in fields:
            self.wrong(entry.at, "neither 'command' nor 'url': say how to start or to reach it")
            return None
        kind = "stdio" if "command" in fields else "http"
        if said is not None and (said == "stdio") != (kind == "stdio"):
            wanted = "command" if said == "stdio" else "url"
            self.wrong(fields["type"].value.at, f"type {said!r} wants {wanted!r}: mend the type, or leave it out")
            return None
        for key in HTTP_ONLY if kind == "stdio" else STDIO_ONLY:
            if key in fields:
                self.wrong(
                    fields[key].at,
                    f"{key!r} is not for a server with {'command' if kind == 'stdio' else 'url'!r}: leave it out",
                )
        return kind

    def _stdio(self, fields: Mapping[str, Field]) -> StdioServer:
        command = self._text(fields["command"], filled=True) or ""
        cwd = self._text(fields.get("cwd"), filled=True)
        server = StdioServer(
            name=self._name,
            command=command,
            args=self._texts(fields.get("args")),
            env=self._table(fields.get("env"), _variable_problem),
            cwd=None if cwd is None else self._beside(cwd),
        )
        if self._environment is not None:
            self._look_for(server, fields, self._environment)
        return server

    def _look_for(self, server: StdioServer, fields: Mapping[str, Field], environment: Mapping[str, str]) -> None:
        """Note it where what is to be started, or the folder for that, is not there."""
        if server.cwd is not None and not Path(server.cwd).is_dir():
            self.wrong(fields["cwd"].value.at, f"there is no folder {fields['cwd'].value.value!r}")
        elif server.command and not _is_there(server, environment):
            said = fields["command"].value.value  # as it is written: variables may be secret
            self.wrong(fields["command"].value.at, f"there is no command {said!r}: install it, or write its whole path")

    def _beside(self, folder: str) -> str:
        path = Path(folder)
        if path.parts[:1] == ("~",):
            path = Path.home().joinpath(*path.parts[1:])
        return str(self._folder / path)

    def _http(self, fields: Mapping[str, Field]) -> HttpServer:
        url = self._text(fields["url"], filled=True) or ""
        if url and self._environment is not None and not _is_url(url):
            self.wrong(fields["url"].value.at, "'url' must be a whole http:// or https:// address")
        return HttpServer(self._name, url, self._table(fields.get("headers"), _header_problem))

    def _flag(self, field: Field | None) -> bool:
        if field is None:
            return False
        if not isinstance(field.value.value, bool):
            self.wrong(field.value.at, f"{field.key!r} must be true or false")
        return field.value.value is True

    def _text(self, field: Field | None, *, filled: bool = False) -> str | None:
        if field is None:
            return None
        text = self._expanded(field.value, f"{field.key!r}")
        if text == "" and filled:
            self.wrong(field.value.at, f"{field.key!r} is empty")
        return text

    def _texts(self, field: Field | None) -> tuple[str, ...]:
        if field is None:
            return ()
        if not isinstance(field.value.value, tuple):
            self.wrong(field.value.at, f"{field.key!r} must be a list of texts")
            return ()
        return tuple(self._expanded(item, f"each of {field.key!r}") or "" for item in field.value.value)

    def _table(self, field: Field | None, problem_with: Callable[[str, str], str | None]) -> dict[str, str]:
        if field is None:
            return {}
        if not isinstance(field.value.value, Fields):
            self.wrong(field.value.at, f"{field.key!r} must be an object of texts")
            return {}
        table: dict[str, str] = {}
        for key, inner in once(field.value.value, self._problems, f"{field.key}: ", self._name).items():
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
            text = text if self._environment is None else expanded(text, self._environment)
        except MissingVariable as missing:
            self.wrong(
                placed.at, f"{what}: ${{{missing.name}}} is not set: set it, or write ${{{missing.name}:-default}}"
            )
            return None
        if not _can_be_passed_on(text):
            self.wrong(placed.at, f"{what} has characters that cannot be passed on")
            return None
        return text


def _is_there(server: StdioServer, environment: Mapping[str, str]) -> bool:
    """Whether the system would find the command, as the server's process will look for it."""
    if os.path.dirname(server.command):
        return which(Path(server.cwd or ".", server.command)) is not None
    return which(server.command, path=server.env.get("PATH", environment.get("PATH"))) is not None


def _type_advice(said: str | None) -> str:
    if said == "sse":
        return "type 'sse' is not supported any more: say 'http', which servers of today speak"
    return "'type' must be 'stdio' or 'http'"


def _in_quotes(value: object) -> str:
    return ": put it in quotes" if isinstance(value, int | float) else ""


def _can_be_passed_on(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return False


def _variable_problem(name: str, _value: str) -> str | None:
    good = name and "=" not in name and _can_be_passed_on(name)
    return None if good else "no variable can have this name"


def _header_problem(name: str, value: str) -> str | None:
    if not _HEADER.fullmatch(name):
        return "no header can have this name"
    return None if _HEADER_VALUE.fullmatch(value) else "it has characters that no header can have"


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = url.isprintable() and " " not in url
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)
