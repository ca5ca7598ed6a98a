"""A folder of records seen from outside, without opening it as a store: nothing is changed, nothing is made."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from mycelium.errors import MyceliumError, SchemaTooNew, StoreDamaged
from mycelium.models import validated
from mycelium.place import Finding, NamedPlace
from mycelium_backends.disk import examine_folder, in_words
from mycelium_backends.markdown import forms
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.index import KINDS, Index
from mycelium_backends.markdown.log import FORMAT, Unparsable, check_format, events_in
from mycelium_backends.markdown.names import kind_and_key
from mycelium_backends.markdown.opening import check_state
from mycelium_backends.markdown.reading import FAULTS, reason_of
from mycelium_backends.markdown.url import folder_of, url_of
from mycelium_backends.sqlite.errors import translated

MEND = "Mend it in an editor or with git. Until then it is left alone, and the rest goes on."


def find_place(url: str) -> MarkdownPlace:
    """See `mycelium.place.FindPlace`.

    Raises:
        UnknownBackend: the URL names no folder.
    """
    return MarkdownPlace(Folder(folder_of(url)))


@dataclass(frozen=True, slots=True)
class MarkdownPlace(NamedPlace):
    """See `mycelium.place.Place`."""

    folder: Folder

    @property
    def url(self) -> str:
        return url_of(self.folder.path)

    def exists(self) -> bool:
        path = self.folder.path
        return path.is_dir() and (self.folder.log.exists() or any(self.folder.signatures()))

    def examine(self) -> list[Finding]:
        return [*examine_folder(self.folder.log), *self._content()]

    def _content(self) -> Iterator[Finding]:
        if not self.exists():
            yield Finding("store", "not there yet; the first agent or `mycelium create` makes it")
            return
        try:
            with translated(self.folder.path):
                yield self._format()
                yield from self._files()
                yield from self._log()
        except MyceliumError as error:
            yield Finding("store", error.message, "fail", error.hint)

    def _format(self) -> Finding:
        if self.folder.log.exists():
            try:
                check_format(self.folder.log)
            except SchemaTooNew as error:
                return Finding("format", error.message, "fail", error.hint)
        return Finding("format", str(FORMAT))

    def _files(self) -> Iterator[Finding]:
        counts: Counter[str] = Counter()
        size = 0
        refused = _refused(self.folder)
        for name, seen in sorted(self.folder.signatures()):
            found = kind_and_key(name)
            assert found is not None
            try:
                _examine(self.folder, name, *found)
                if why := refused.get((name, seen)):
                    raise Unreadable(why)
                counts[found[0]] += 1
                size += int(seen.rpartition(":")[2])
            except (*FAULTS, MyceliumError) as error:
                yield Finding("file", f"{self.folder.path / name}: {_said(error)}", "fail", MEND)
        said = ", ".join(f"{counts[kind]} {kind}s" for kind in KINDS)
        yield Finding("content", f"{said}, {in_words(size)}")

    def _log(self) -> Iterator[Finding]:
        count = 0
        for each in events_in(self.folder.log) if self.folder.log.exists() else ():
            if isinstance(each, Unparsable):
                mend = "Put that line right; Mycelium reads the others."
                yield Finding("log", f"{self.folder.log}: line {each.number} is no event: {each.text}", "warn", mend)
            else:
                count += 1
        yield Finding("log", f"{count} events")


def _refused(folder: Folder) -> dict[tuple[str, str], str]:
    """Why files could not be taken up, though they can be read: by their names and what they were like then."""
    try:
        check_state(folder.state)
        if not folder.index.exists():
            return {}
        # Without a log beside it the index can be read as it is, which leaves nothing behind.
        how = "mode=ro" if folder.index.with_name(f"{folder.index.name}-wal").exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"file:{quote(str(folder.index))}?{how}", uri=True)) as connection:
            return {(row.name, row.signature): row.fault or "" for row in Index(connection).faults()}
    except (sqlite3.Error, StoreDamaged):
        return {}  # it is made anew when the folder is opened, or refused then


def _examine(folder: Folder, name: str, kind: str, key: str) -> None:
    """Raises if this file holds no sound record."""
    text, _ = folder.read(name)
    said = forms.read(kind, text)
    wanted = forms.key_of(kind, key, said)
    fields = said.fields if said.written else forms.completed(KINDS[kind], said.fields, wanted, datetime.now(UTC))
    validated(KINDS[kind], **fields)


def _said(error: Exception) -> str:
    return error.message if isinstance(error, MyceliumError) else reason_of(error)
