"""`mycelium bench` measures in a store of its own and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mycelium_server.bench.figures import Operation, Timing
from tests.cli.conftest import Command, Said
from tests.support.redis import RedisServer, free_port, redis_server

pytestmark = pytest.mark.timeout(600)
PATIENCE = 180.0
"""Seconds: a bound for a broken build, generous because measurements of other tests may load the same two cores."""
OPERATIONS = [
    "Store Agent Status",
    "Get Agent Status",
    "Create Task",
    "Claim Task",
    "Update Task Status",
    "Complete Task",
    "Publish Event",
]
DELIVERY = ["Subscribe (from the call)", "Subscribe (from stored)"]
SMALL = ("--calls", "20", "--agents", "4")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty but for what the command leaves there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def measured(said: Said, mode: str, raw: str) -> None:
    """A whole report of this backend beside this driver, every figure of it measured."""
    report = json.loads(said.out)
    assert (report["mode"], report["agents"], report["calls"]) == (mode, 4, 20)
    assert raw in (report["raw"] or "")
    names = [(each["name"], each["agents"]) for each in report["operations"]]
    assert names == [*((name, 4) for name in OPERATIONS), *((name, 1) for name in [*OPERATIONS, *DELIVERY])]
    for each in report["operations"]:
        for timing in filter(None, (each["mycelium"], each["raw"])):
            assert 0 <= timing["p50"] <= timing["p95"] <= timing["p99"] < 1000 * PATIENCE
            assert timing["calls"] > 0
    together = report["operations"][: len(OPERATIONS)]
    assert all(each["mycelium"]["per_second"] > 0 for each in together)
    assert all((each["raw"] is not None) == bool(raw) == (each["ratio"] is not None) for each in together)
    assert all(each["bytes"] >= 0 for each in report["sizes"])
    assert {"memory of the process, per agent", "memory of the process, per 1,000 tasks"} <= {
        each["name"] for each in report["sizes"]
    }


@pytest.mark.parametrize(
    ("kind", "raw"),
    [("memory", ""), ("sqlite", "sqlite3"), ("taskqueue", "sqlite3"), ("markdown", "plain files")],
)
def test_a_backend_is_measured_beside_its_bare_driver(mycelium: Command, scratch: Path, kind: str, raw: str) -> None:
    measured(mycelium.succeed("bench", "--backend", kind, *SMALL, "--json"), kind, raw)
    assert not list(scratch.iterdir())


def of_benches(plain: Any) -> set[str]:
    """The keys of measurements in a server that other tests fill and empty at the same time."""
    return set(plain.scan_iter(match="{bench-*", count=1000))


def test_a_server_is_measured_in_a_namespace_that_is_removed(
    mycelium: Command, scratch: Path, redis: RedisServer
) -> None:
    with redis.plain() as plain:
        plain.set("theirs", "kept")
        before = of_benches(plain)
        measured(mycelium.succeed("bench", "-b", redis.url(), *SMALL, "--json"), "redis", "redis-py")
        assert (of_benches(plain), plain.get("theirs")) == (before, "kept")
    assert not list(scratch.iterdir())


def test_a_server_that_is_not_there_is_told(mycelium: Command, scratch: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    assert mycelium.fail(3, "bench", "-b", url, *SMALL).startswith("backend_unavailable: ")
    assert not list(scratch.iterdir())


def test_pipes_get_rows_and_the_picture_is_drawn(mycelium: Command, scratch: Path, tmp_path: Path) -> None:
    picture = tmp_path / "bench.svg"
    said = mycelium("bench", *SMALL, "--plot", str(picture))
    assert said.code == 0
    assert said.err.startswith("sqlite: 20 calls of each kind")
    rows = [row for row in said.rows if len(row) > 2]
    assert [row[0] for row in rows] == [*OPERATIONS, *OPERATIONS, *DELIVERY]
    assert {len(row) for row in rows} == {11}
    assert [row[0] for row in said.rows if len(row) == 2][-1] == "disk, per 1,000 tasks"
    drawn = "".join(ET.fromstring(picture.read_text(encoding="utf-8")).itertext())
    assert all(name in drawn for name in OPERATIONS)
    assert "http" not in picture.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--backend", "sqlite:///team.db"),
        ("--backend", "markdown:///notes"),
        ("--backend", "taskqueue:///team.db"),
        ("--backend", "auto"),
        ("--backend", "rediss"),
        ("--backend", "redis+sentinel://localhost/0?service=mymaster"),
        ("--backend", "redis+cluster://localhost"),
        ("--backend", "redis://localhost/0?nosuch=1"),
        ("--backend", "postgres://localhost"),
        ("--agents", "0"),
        ("--calls", "0"),
        ("--plot", "nowhere/bench.svg"),
        ("--plot", "."),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_done(
    mycelium: Command, scratch: Path, arguments: tuple[str, ...]
) -> None:
    assert mycelium.fail(2, "bench", *arguments).startswith("invalid_input: ")
    assert not list(scratch.iterdir())
    assert not list(Path().iterdir())


def test_no_other_disk_is_measured_than_the_one_that_is_named(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert mycelium.fail(2, "bench", *SMALL).startswith("invalid_input: No folder can be made in /nowhere: ")


def test_the_store_that_is_worked_in_is_not_touched(mycelium: Command, scratch: Path, tmp_path: Path) -> None:
    mycelium.succeed("create", "review")
    before = mycelium.succeed("export").out
    assert mycelium("bench", "--backend", "memory", *SMALL).code == 0
    assert mycelium.succeed("export").out == before


@pytest.fixture
def command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that holds the arguments of every process that is started with this Python."""
    lines, python = tmp_path / "lines", tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >>{lines}\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    return lines


@pytest.mark.usefixtures("redis")  # skipped where no server is installed
def test_a_password_stands_in_no_command_line(
    mycelium: Command, command_lines: Path, scratch: Path, tmp_path: Path
) -> None:
    with redis_server(tmp_path / "redis", "--requirepass", "hunter2") as server:
        url = f"redis://:hunter2@127.0.0.1:{server.port}/0"
        said = mycelium.succeed("bench", "-b", url, *SMALL, "--json")
    started = command_lines.read_text(encoding="utf-8")
    assert "bench.grower" in started
    assert "bench.publisher" in started
    assert "hunter2" not in started + said.out


@pytest.fixture
def running(scratch: Path) -> Generator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a long measurement in a process of its own."""
    with ExitStack() as processes:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            command = [str(Path(sys.executable).with_name("mycelium")), "bench", "--calls", "100000", *arguments]
            environment = {name: value for name, value in os.environ.items() if not name.startswith("MYCELIUM_")}
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield start


def until(holds: Callable[[], object]) -> None:
    """Wait until this holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


STOPS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@STOPS
def test_a_stopped_run_leaves_nothing(
    scratch: Path, running: Callable[..., subprocess.Popen[bytes]], number: signal.Signals, code: int
) -> None:
    process = running()
    until(lambda: list(scratch.rglob("raw.db")))
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (code, b"", b"")
    assert not list(scratch.iterdir())


@STOPS
def test_a_stopped_run_leaves_nothing_in_a_server(
    redis: RedisServer, running: Callable[..., subprocess.Popen[bytes]], number: signal.Signals, code: int
) -> None:
    with redis.plain() as plain:
        before = of_benches(plain)
        process = running("--backend", redis.url())
        until(lambda: of_benches(plain) - before)
        process.send_signal(number)
        assert process.communicate(timeout=PATIENCE) == (b"", b"")
        assert (process.returncode, of_benches(plain) - before) == (code, set())


def test_impatience_does_not_disturb_the_clearing_up(
    redis: RedisServer, running: Callable[..., subprocess.Popen[bytes]]
) -> None:
    with redis.plain() as plain:
        before = of_benches(plain)
        process = running("--backend", redis.url())
        until(lambda: len(of_benches(plain) - before) > 300)
        until(lambda: process.poll() is not None or process.send_signal(signal.SIGINT))
        assert process.communicate(timeout=PATIENCE) == (b"", b"")
        assert (process.returncode, of_benches(plain) - before) == (130, set())


@pytest.mark.usefixtures("redis")  # skipped where no server is installed
def test_a_server_that_is_lost_is_told_in_one_line(
    scratch: Path, tmp_path: Path, running: Callable[..., subprocess.Popen[bytes]]
) -> None:
    with redis_server(tmp_path / "redis") as server:
        process = running("--backend", server.url())
        with server.plain() as plain:
            until(plain.dbsize)
        server.kill()
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (3, b"")
    assert [line for line in err.decode().splitlines() if line.startswith("backend_unavailable: ")]
    assert "Traceback" not in err.decode()
    assert not list(scratch.iterdir())


def test_percentiles_are_of_the_calls_that_were_made() -> None:
    timing = Timing.of([number / 1000 for number in range(100, 0, -1)], 2.0)
    assert (timing.calls, timing.per_second) == (100, 50.0)
    assert [round(each, 6) for each in (timing.p50, timing.p95, timing.p99)] == [50, 95, 99]
    assert Timing.of([0.002], 0.002).p99 == 2


def test_the_ratio_says_how_many_times_as_fast_the_driver_is() -> None:
    quick, slow = Timing.of([0.001], 0.001), Timing.of([0.004], 0.004)
    assert Operation("x", "alone", 1, slow, quick).ratio == 4
    assert Operation("x", "alone", 1, Timing.of([0.004], None), Timing.of([0.001], None)).ratio == 4
    assert Operation("x", "alone", 1, slow, Timing.of([0.0], None)).ratio is None
    assert Operation("x", "alone", 1, slow, None).ratio is None
