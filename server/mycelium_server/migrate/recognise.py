"""Which program a file or folder is of: its content tells."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic_core import from_json

from mycelium.errors import InvalidInput
from mycelium_server.migrate.backlog import backlog_in, read_backlog
from mycelium_server.migrate.files import bytes_of
from mycelium_server.migrate.foreign import Foreign
from mycelium_server.migrate.taskmaster import is_master, read_master
from mycelium_server.migrate.taskqueue import is_queue, read_queue

TASK_MASTER_FILE: Final = Path(".taskmaster/tasks/tasks.json")
HINT: Final = (
    "Give it an export of Mycelium, the tasks.json of taskqueue-mcp or Task Master, or the folder of Backlog.md."
)


def is_export(line: bytes) -> bool:
    """Whether this may be a line of an export of ours: an object that names its kind."""
    try:
        value: object = from_json(line.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return False
    return isinstance(value, dict) and "kind" in value


def read_file(content: bytes, file: str) -> Foreign:
    """What another program's file has.

    Raises:
        InvalidInput: it is none that is known, or something in it is wrong.
    """
    try:
        data: object = from_json(content.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"{file}: not JSON ({error}).", hint=HINT, file=file) from None
    if is_queue(data):
        return read_queue(data, file)
    if is_master(data):
        return read_master(data, file)
    raise InvalidInput(f"{file}: nothing that an import reads.", hint=HINT, file=file)


def read_folder(folder: Path) -> Foreign:
    """What another program keeps in this folder, or in its own folder within this project.

    Raises:
        InvalidInput: there is nothing of the kind, or of two programs; or something in it is wrong.
    """
    backlog, master = backlog_in(folder), folder / TASK_MASTER_FILE
    if backlog is not None and master.is_file():
        raise InvalidInput(
            f"{folder}: it has tasks of two programs.", hint=f"Name {backlog} or {master}.", file=str(folder)
        )
    if backlog is not None:
        return read_backlog(backlog)
    if master.is_file():
        return read_file(bytes_of(master), str(master))
    raise InvalidInput(f"{folder}: a folder with nothing that an import reads.", hint=HINT, file=str(folder))
