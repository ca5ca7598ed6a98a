"""Where a run keeps its store: always a new one, which is removed at its end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from mycelium.errors import InvalidInput
from mycelium_server.bench.ground import SIZES, Ground
from mycelium_server.bench.raw_files import RawFiles
from mycelium_server.bench.raw_sqlite import RawSqlite
from mycelium_server.bench.server import ground_on
from mycelium_server.bench.subject import Subject


@asynccontextmanager
async def ground_for(subject: Subject) -> AsyncGenerator[Ground]:
    """A new store for the time of this context. Nothing of it is left, however the context ends."""
    if subject.kind == "memory":
        yield Ground("memory", "memory:", "memory", None, "memory:")
    elif subject.server:
        async with ground_on(subject.server) as ground:
            yield ground
    else:
        with _new_folder() as folder:
            yield _in_folder(subject, folder)


@contextmanager
def _new_folder() -> Generator[Path]:
    # Named here, because Python itself goes elsewhere without a word where it cannot have the folder that is named.
    disk = os.environ.get("TMPDIR") or tempfile.gettempdir()
    try:
        folder = Path(tempfile.mkdtemp(prefix="mycelium-bench-", dir=disk))
    except OSError as error:
        raise InvalidInput(
            f"No folder can be made in {disk}: {error.strerror}.", hint="Name another with TMPDIR.", folder=disk
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_folder(subject: Subject, folder: Path) -> Ground:
    is_files = subject.kind == "markdown"
    what, name, driver = ("folder", "store", RawFiles) if is_files else ("file", "store.db", RawSqlite)
    url, url_of_sizes = (_url(subject, folder / each / name) for each in ("calls", SIZES))
    shown = f"a new {what} in {folder.parent}"
    return Ground(subject.kind, url, shown, partial(driver, folder), url_of_sizes, folder)


def _url(subject: Subject, path: Path) -> str:
    if subject.kind == "sqlite":
        return f"sqlite:///{path}"  # which is the path as it is
    terms = f"?{urlencode(subject.terms)}" if subject.terms else ""
    return f"{subject.kind}:///{quote(str(path))}{terms}"
