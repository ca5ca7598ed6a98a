"""What people see of `mycelium bench` at a terminal: every operation by its name, however narrow it is."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mycelium_server.bench.figures import Operation, Report, Size, Timing
from mycelium_server.bench.tables import of_operations, of_sizes
from mycelium_server.cli import output
from mycelium_server.cli.output import Listing, show

OURS = Timing(3000, 1.234, 22.345, 123.456, 12345.6)
RAW = Timing(3000, 0.617, 11.111, 61.728, 24691.2)
NAMES = ["Store Agent Status", "Update Task Status", "Subscribe (from the call)"]

Lines = Callable[[Listing, int], list[str]]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lines:
    """The lines of a listing at a terminal of some width."""

    def for_people(*, as_json: bool) -> bool:
        return not as_json

    def lines(listing: Listing, width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        show(listing, as_json=False)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    monkeypatch.setattr(output, "for_people", for_people)
    return lines


def report(*, raw: bool = True) -> Report:
    operations = [Operation(name, "together", 100, OURS, RAW if raw else None) for name in NAMES]
    sizes = [Size("memory of a process with the store open", 38.25 * 1024**2)]
    return Report("redis", "a server", "redis-py" if raw else None, 100, 3000, "a machine", operations, sizes)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, "operation agents p50 p95 p99 calls/s raw p50 raw p95 raw p99 raw calls/s ratio"),
        (80, "operation agents p50 p95 p99 calls/s ratio"),
        (70, "operation agents p50 p99 calls/s ratio"),
        (60, "operation agents p50 calls/s ratio"),
        (52, "operation agents p50 calls/s"),
        (45, "operation agents p50"),
    ],
)
def test_a_narrow_terminal_shows_every_name_and_whole_figures(table: Lines, width: int, columns: str) -> None:
    head, _, *rows = table(of_operations(report(), width=width), width)
    assert " ".join(head.split()) == columns
    assert all(len(row) <= width and "…" not in row for row in rows)
    assert [row[:26].strip() for row in rows if "raw" not in row] == NAMES
    assert all("1.234" in row for row in rows if "raw" not in row)
    figures = ["0.617", *(["2.00"] if "ratio" in columns.split() else [])]
    assert all(any(figure in row.split() for row in rows) for figure in figures)


def test_without_a_driver_there_are_no_rows_of_one(table: Lines) -> None:
    head, _, *rows = table(of_operations(report(raw=False), width=60), 60)
    assert head.split() == ["operation", "agents", "p50", "p99", "calls/s"]
    assert [row[:26].strip() for row in rows] == NAMES


def test_sizes_are_whole_where_there_is_no_room_for_their_names(table: Lines) -> None:
    assert table(of_sizes(report()), 40)[-1].split("…")[1].strip() == "38.2 MiB"


def test_a_terminal_of_80_columns_shows_what_was_measured(tmp_path: Path) -> None:
    mine, its = pty.openpty()
    command = [
        str(Path(sys.executable).with_name("mycelium")),
        "bench",
        "-b",
        "sqlite",
        "--calls",
        "5",
        "--agents",
        "2",
    ]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        seen = until_closed(mine).decode()
    assert process.returncode == 0
    assert all(name in seen for name in ("Store Agent Status", "Claim Task", "Subscribe (from stored)", "  raw"))


def until_closed(terminal: int) -> bytes:
    """All that appears at the terminal until nobody writes there any more."""
    seen = b""
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(terminal)
    return seen
