"""What goes wrong is one line on stderr with a stable code, and an exit code that tells its kind."""

import json
from pathlib import Path

import pytest

from mycelium import Mycelium
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("code", "says", "args"),
    [
        (1, "not_found: No task 'nope'. `mycelium tasks` shows", ["task", "nope"]),
        (1, "not_found: No workflow 'nope'. `mycelium workflows` shows", ["workflow", "nope"]),
        (2, "invalid_id: ", ["task", "../etc"]),
        (2, "invalid_cursor: ", ["tasks", "--cursor", "nonsense"]),
        (2, "invalid_cursor: ", ["events", "--after", "-1"]),
        (2, "invalid_cursor: ", ["events", "--after", "99"]),
        (2, "invalid_input: ", ["tasks", "--limit", "0"]),
        (2, "invalid_input: ", ["create", "x", "--payload", "{"]),
        (2, "invalid_input: ", ["create", "x", "--payload", "[1]"]),
        (2, "invalid_input: ", ["create", "x", "--payload", "@missing.json"]),
        (2, "invalid_input: ", ["create", "x", "--not-before", "tomorrow"]),
        (2, "invalid_input: ", ["create", "x", "--not-before", "2030-01-31T09:00:00"]),
        (2, "invalid_input: ", ["create", "x", "--max-attempts", "-1"]),
        (2, "invalid_id: ", ["create", "x", "--agent", "a b"]),
        (2, "unknown_dependency: Unknown dependencies: nope.", ["create", "x", "--depends-on", "nope"]),
        (2, "usage: ", ["tasks", "--status", "sleeping"]),
        (2, "usage: ", ["create"]),
        (2, "usage: No such option: --titel", ["create", "x", "--titel", "y"]),
        (2, "usage: No such command 'taks'. Did you mean", ["taks"]),
        (3, "unknown_backend: ", ["tasks", "--backend", "oracle://x"]),
        (3, "unknown_backend: ", ["tasks", "--backend", "sqlite:team.db"]),
        (3, "backend_unavailable: There is no store at sqlite:////", ["tasks", "--backend", "sqlite:///typo.db"]),
        (3, "backend_unavailable: There is no store at sqlite:////", ["cancel", "x", "--backend", "sqlite:///typo.db"]),
    ],
)
def test_refusals(mycelium: Command, code: int, says: str, args: list[str]) -> None:
    mycelium.succeed("create", "review")
    before = mycelium.succeed("export").out
    assert mycelium.fail(code, *args).startswith(says)
    error = json.loads(mycelium.fail(code, *args, "--json"))["error"]
    assert error["code"] == says.partition(":")[0]
    assert error["message"]
    assert error["hint"]
    assert mycelium.succeed("export").out == before
    assert list(Path.cwd().iterdir()) == []


def test_a_task_with_an_outcome_cannot_be_cancelled(mycelium: Command) -> None:
    task_id = mycelium.succeed("create", "review").out.strip()

    async def do_it(m: Mycelium) -> None:
        await m.claim_task(task_id)
        await m.complete_task(task_id)

    mycelium.with_store(do_it)
    assert mycelium.fail(1, "cancel", task_id).startswith("illegal_transition: ")


def test_a_damaged_store_is_refused_and_left(mycelium: Command, tmp_path: Path) -> None:
    file = tmp_path / "damaged.db"
    file.write_bytes(b"not a database " * 1000)
    before = file.read_bytes()
    for command in (["tasks"], ["create", "x"], ["export"]):
        assert mycelium.fail(3, *command, "--backend", f"sqlite:///{file}").startswith("store_damaged: ")
    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_made(mycelium: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = mycelium.fail(3, "create", "x", "--backend", f"sqlite:///{tmp_path}/file/team.db")
    assert line.startswith("backend_unavailable: ")
