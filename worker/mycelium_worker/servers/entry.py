"""One server of an MCP file, and all that can be wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Final
from urllib.parse import urlsplit

from mycelium_worker.servers.json_places import Field, Fields
from mycelium_worker.servers.problems import Problem, near, once
from mycelium_worker.servers.spec import HttpServer, ServerSpec, StdioServer
from mycelium_worker.servers.values import Values, can_be_passed_on

KEYS: Final = ("type", "command", "args", "env", "cwd", "url", "headers", "disabled")
IGNORED: Final = frozenset({"description", "autoApprove", "alwaysAllow"})
"""Other clients' notes to themselves: nobody is asked here before a tool is called."""
STDIO_ONLY: Final = ("command", "args", "env", "cwd")
HTTP_ONLY: Final = ("url", "headers")
HTTP: Final = frozenset({"http", "streamable-http", "streamableHttp"})

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")


def server_in(entry: Field, folder: Path, environment: Mapping[str, str], problems: list[Problem]) -> ServerSpec | None:
    """The server under this name; None where it is disabled, or something is wrong, which is then among `problems`."""
    before = len(problems)
    values = Values(entry.key, environment, problems)
    if not _NAME.fullmatch(entry.key):
        values.wrong(entry.at, "its name must be 1 to 64 letters, digits, '_' and '-': give it another one")
    if not isinstance(entry.value.value, Fields):
        values.wrong(entry.value.at, 'an object is wanted, such as {"command": "…"} or {"type": "http", "url": "…"}')
        return None
    fields = once(entry.value.value, problems, server=entry.key)
    server = _Entry(entry.key, folder, values).read(entry, fields)
    return server if len(problems) == before else None


class _Entry:
    """Makes a server of its fields."""

    def __init__(self, name: str, folder: Path, values: Values) -> None:
        self._name = name
        self._folder = folder
        self._values = values

    def read(self, entry: Field, fields: Mapping[str, Field]) -> ServerSpec | None:
        self._look_for_unknown(fields)
        disabled = self._values.flag(fields.get("disabled"))
        if disabled:
            self._values.environment = None  # its variables need not be set
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
                self._values.wrong(field.at, f"unknown key {key!r}: {advice}")

    def _kind(self, entry: Field, fields: Mapping[str, Field]) -> str | None:
        said = self._values.text(fields.get("type"))
        if "type" in fields and said not in {"stdio", *HTTP}:
            self._values.wrong(fields["type"].value.at, _type_advice(said))
            return None
        if "command" in fields and "url" in fields:
            self._values.wrong(
                max(fields["command"].at, fields["url"].at), "both 'command' and 'url': leave one of them out"
            )
            return None
        if "command" not in fields and "url" not in fields:
            self._values.wrong(entry.at, "neither 'command' nor 'url': say how to start or to reach it")
            return None
        kind = "stdio" if "command" in fields else "http"
        if said is not None and (said == "stdio") != (kind == "stdio"):
            wanted = "command" if said == "stdio" else "url"
            self._values.wrong(
                fields["type"].value.at, f"type {said!r} wants {wanted!r}: mend the type, or leave it out"
            )
            return None
        for key in HTTP_ONLY if kind == "stdio" else STDIO_ONLY:
            if key in fields:
                self._values.wrong(
                    fields[key].at,
                    f"{key!r} is not for a server with {'command' if kind == 'stdio' else 'url'!r}: leave it out",
                )
        return kind

    def _stdio(self, fields: Mapping[str, Field]) -> StdioServer:
        command = self._values.text(fields["command"], filled=True) or ""
        cwd = self._values.text(fields.get("cwd"), filled=True)
        server = StdioServer(
            name=self._name,
            command=command,
            args=self._values.texts(fields.get("args")),
            env=self._values.table(fields.get("env"), _variable_problem),
            cwd=None if cwd is None else self._beside(cwd),
        )
        if self._values.environment is not None:
            self._look_for(server, fields, self._values.environment)
        return server

    def _look_for(self, server: StdioServer, fields: Mapping[str, Field], environment: Mapping[str, str]) -> None:
        """Note it where what is to be started, or the folder for that, is not there."""
        if server.cwd is not None and not Path(server.cwd).is_dir():
            self._values.wrong(fields["cwd"].value.at, f"there is no folder {fields['cwd'].value.value!r}")
        elif server.command and not _is_there(server, environment):
            said = fields["command"].value.value  # as it is written: variables may be secret
            self._values.wrong(
                fields["command"].value.at, f"there is no command {said!r}: install it, or write its whole path"
            )

    def _beside(self, folder: str) -> str:
        path = Path(folder)
        if path.parts[:1] == ("~",):
            path = Path.home().joinpath(*path.parts[1:])
        return str(self._folder / path)

    def _http(self, fields: Mapping[str, Field]) -> HttpServer:
        url = self._values.text(fields["url"], filled=True) or ""
        if url and self._values.environment is not None and not _is_url(url):
            self._values.wrong(fields["url"].value.at, "'url' must be a whole http:// or https:// address")
        return HttpServer(self._name, url, self._values.table(fields.get("headers"), _header_problem))


def _is_there(server: StdioServer, environment: Mapping[str, str]) -> bool:
    """Whether the system would find the command, as the server's process will look for it."""
    if os.path.dirname(server.command):
        return which(Path(server.cwd or ".", server.command)) is not None
    return which(server.command, path=server.env.get("PATH", environment.get("PATH"))) is not None


def _type_advice(said: str | None) -> str:
    if said == "sse":
        return "type 'sse' is not supported any more: say 'http', which servers of today speak"
    return "'type' must be 'stdio' or 'http'"


def _variable_problem(name: str, _value: str) -> str | None:
    good = name and "=" not in name and can_be_passed_on(name)
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
