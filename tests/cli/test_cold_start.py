"""What a server imports before it answers: nothing that only people, or only stores, need."""

import subprocess
import sys
from pathlib import Path
from threading import Timer

from tests.server.raw_client import OPENING, PATIENCE, request

LATER = {"rich", "sqlite3", "sqlite_utils", "mycelium_backends", "pydantic_settings", "redis"}


def test_tools_are_listed_before_terminal_and_store_are_imported(tmp_path: Path) -> None:
    seen = imported_until_tools_are_listed("serve", "--backend", f"sqlite:///{tmp_path}/team.db")
    assert {"mcp", "mycelium", "mycelium_server"} <= seen
    assert not LATER & seen
    assert not (tmp_path / "team.db").exists()


def imported_until_tools_are_listed(*arguments: str) -> set[str]:
    """The packages that a server imported before that answer, which one stream of both tells without a race."""
    seen: set[str] = set()
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "mycelium_server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as server:
        assert server.stdin
        assert server.stdout
        bound = Timer(PATIENCE, server.kill)
        bound.start()
        server.stdin.write(OPENING + request(1, "tools/list", {}))
        server.stdin.flush()
        for line in server.stdout:
            if b'"id":1' in line:
                break
            seen.add(line.decode().rpartition("|")[2].strip().partition(".")[0])
        else:
            raise AssertionError(f"no answer; imported {sorted(seen)}")
        bound.cancel()
        server.kill()
    return seen
