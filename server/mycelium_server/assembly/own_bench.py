"""The workbench that a worker starts where no file names its MCP servers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mycelium.settings import Configuration
    from mycelium_worker.servers.spec import Bench

log = logging.getLogger("mycelium.worker")

AUDIT: Final = "workbench.jsonl"
"""In `.mycelium` of the project, else in this user's own folder of Mycelium."""


def own_bench(config: Configuration, store: str) -> Bench:
    """In the folder that the worker runs in, without what it itself is told by and where it keeps its tasks."""
    from mycelium_worker.servers.spec import Bench

    hidden = (*_told_by(config), *_kept_in(store))
    return Bench(config.cwd, hidden=tuple(dict.fromkeys(hidden)), audit=_audit(config.folder))


def _told_by(config: Configuration) -> Iterator[Path]:
    """Files with secrets, or that say what is started."""
    yield from (config.folder, config.file)
    rabbitmq = config.settings.rabbitmq
    named = (rabbitmq.ca_file, rabbitmq.cert_file, rabbitmq.key_file)
    yield from (config.cwd / each for each in named if each is not None)


def _kept_in(store: str) -> Iterator[Path]:
    """The files of the store, where it is of files."""
    from mycelium_backends.markdown.url import SCHEME, folder_of
    from mycelium_backends.sqlite.url import PREFIX, TASKQUEUE, address_of

    if store.startswith(SCHEME):
        yield folder_of(store)
    elif store.startswith((PREFIX, TASKQUEUE)):
        yield address_of(store).path


def _audit(folder: Path) -> Path | None:
    """The file for the lines of each call; None where none can be written."""
    from mycelium.settings.project import FOLDER
    from mycelium_backends.auto import IGNORED

    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            if folder.name == FOLDER:
                (folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
        (folder / AUDIT).touch(0o600)
    except OSError as error:
        log.warning("no audit of the workbench's calls in %s: %s", folder, error.strerror)
        return None
    return folder / AUDIT
