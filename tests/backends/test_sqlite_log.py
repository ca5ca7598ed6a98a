"""SQLite's write-ahead log stays short, and is not moved into the database at each commit."""

from itertools import pairwise
from pathlib import Path

import pytest

from mycelium import Mycelium
from mycelium_backends.sqlite import writer

LOG_BYTES = 256 * 1024
FILLING = {"text": "x" * 20_000}


@pytest.fixture(autouse=True)
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_BYTES", LOG_BYTES)
    monkeypatch.setattr("mycelium_backends.sqlite.connection.SHORT_WAL_BYTES", LOG_BYTES // 4)


async def sizes_while_filling(m: Mycelium, log: Path) -> list[int]:
    sizes: list[int] = []
    for _ in range(100):
        await m.create_task("fill", payload=FILLING)
        sizes.append(log.stat().st_size)
    return sizes


async def test_the_log_begins_anew_when_it_has_grown(tmp_path: Path) -> None:
    async with Mycelium.open(f"sqlite:///{tmp_path}/store.db", background=False) as m:
        sizes = await sizes_while_filling(m, tmp_path / "store.db-wal")
    assert max(sizes) < 2 * LOG_BYTES
    shrunk = sum(after < before for before, after in pairwise(sizes))
    assert 3 <= shrunk <= 20, "2 MB went through a log of 256 KB: about ten times, not at each commit"


async def test_a_reader_of_an_old_state_does_not_make_every_commit_a_checkpoint(tmp_path: Path) -> None:
    async with Mycelium.open(f"sqlite:///{tmp_path}/store.db", background=False) as m:
        for _ in range(300):
            await m.create_task("before")
        reading = m.export()
        await anext(reading)
        await anext(reading)
        pinned = await sizes_while_filling(m, tmp_path / "store.db-wal")
        assert max(pinned) > 4 * LOG_BYTES, "the log cannot begin anew under a reader"
        assert len([line async for line in reading]) > 300
        after = await sizes_while_filling(m, tmp_path / "store.db-wal")
        assert min(after) < LOG_BYTES
