"""The file with the MCP servers, in the form that MCP clients share: `{"mcpServers": {NAME: …}}`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mycelium.errors import InvalidConfig, InvalidMcpFile
from mycelium.settings.file import content_of
from mycelium_worker.servers.entry import server_in
from mycelium_worker.servers.json_places import Field, Fields, NotJson, Place, Placed, placed
from mycelium_worker.servers.problems import Problem, near, once
from mycelium_worker.servers.spec import ServerSpec

MOST: Final = 5
"""Problems that are told at once."""
SERVERS: Final = "mcpServers"


def read_servers(path: str | Path, environment: Mapping[str, str] = os.environ) -> tuple[ServerSpec, ...]:
    """The servers of a file, those left out that are `disabled`.

    `${VAR}` and `${VAR:-default}` are taken from `environment`; a relative `cwd` is one beside the file. Other keys
    beside `mcpServers` are other programs' affair.

    Raises:
        InvalidMcpFile: a mistake in it, with its line and column.
    """
    file = Path(path).expanduser()
    text = _text(file)
    try:
        root = placed(text)
    except NotJson as error:
        raise _explained(file, [Problem(error.at, error.says)]) from None
    problems: list[Problem] = []
    context = _Context(file.absolute().parent, environment, problems)
    servers = [server for entry in _entries(root, problems) if (server := context.server(entry))]
    if problems:
        raise _explained(file, problems)
    return tuple(servers)


@dataclass(frozen=True, slots=True)
class _Context:
    folder: Path
    environment: Mapping[str, str]
    problems: list[Problem]

    def server(self, entry: Field) -> ServerSpec | None:
        return server_in(entry, self.folder, self.environment, self.problems)


def _text(file: Path) -> str:
    try:
        content = content_of(file, must_exist=False)
    except InvalidConfig as error:
        raise InvalidMcpFile(error.message, hint=error.hint, file=str(file)) from None
    if content is None:
        raise InvalidMcpFile(f"There is no file {file}.", hint="Say where the MCP file is.", file=str(file))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        at = Place(before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        raise _explained(file, [Problem(at, "it is not UTF-8: save it in that encoding")]) from None


def _entries(root: Placed, problems: list[Problem]) -> Sequence[Field]:
    if not isinstance(root.value, Fields):
        problems.append(Problem(root.at, f'a JSON object is wanted: {{"{SERVERS}": {{…}}}}'))
        return ()
    fields = once(root.value, problems)
    for key, field in fields.items():
        if key != SERVERS and near(key, [SERVERS]):
            problems.append(Problem(field.at, f"unknown key {key!r}: did you mean {SERVERS!r}?"))
    if problems:
        return ()
    if SERVERS not in fields:
        problems.append(Problem(root.at, f"no {SERVERS!r}: put the servers under that key"))
        return ()
    return _named(fields[SERVERS].value, problems)


def _named(servers: Placed, problems: list[Problem]) -> Sequence[Field]:
    if not isinstance(servers.value, Fields):
        problems.append(Problem(servers.at, f"{SERVERS!r} must be an object, with a server under each name"))
        return ()
    if not servers.value.all:
        problems.append(Problem(servers.at, f"{SERVERS!r} is empty: add a server, or do without the file"))
    return list(once(servers.value, problems, "server ").values())


def _explained(file: Path, problems: Sequence[Problem]) -> InvalidMcpFile:
    problems = sorted(problems, key=lambda each: each.at)
    said = [f"{file}:{each.at}: {each.says}" for each in problems[:MOST]]
    if len(problems) > MOST:
        said.append(f"and {len(problems) - MOST} more")
    return InvalidMcpFile(
        "\n".join(f"{each}." for each in said),
        hint="Correct that and start again.",
        file=str(file),
        line=problems[0].at.line,
        column=problems[0].at.column,
        servers=sorted({each.server for each in problems if each.server}) or None,
    )
