"""The workbench that a worker starts by itself: what is the worker's is out of its reach, and its calls are noted."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.settings import Surroundings, configuration
from mycelium_server.assembly.own_bench import own_bench
from tests.support.processes import MYCELIUM, PATIENCE

pytestmark = pytest.mark.anyio


def around(cwd: Path, **environ: str) -> Surroundings:
    return Surroundings(cwd, cwd.parent / "data", environ=environ)


def test_what_the_worker_is_told_by_and_keeps_is_hidden(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    (project / "team.json").write_text("{}")
    config = configuration(around(project, MYCELIUM_CONFIG="team.json", MYCELIUM_RABBITMQ_KEY_FILE="key.pem"))
    told = [project / ".mycelium", project / "team.json", project / "key.pem"]
    for store, kept in (
        (f"sqlite:///{project}/team.db", [project / "team.db"]),
        (f"taskqueue:///{project}/team.db?max_tasks=5", [project / "team.db"]),
        (f"markdown:{project}/notes", [project / "notes"]),
        ("redis://127.0.0.1/0", []),
    ):
        bench = own_bench(config, store)
        assert (bench.root, list(bench.hidden)) == (project, [*told, *kept])


def test_calls_are_noted_where_the_configuration_lies(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / ".git").mkdir(parents=True)
    elsewhere.mkdir()
    for cwd, folder in ((project, project / ".mycelium"), (elsewhere, tmp_path / "data")):
        bench = own_bench(configuration(around(cwd)), "redis://127.0.0.1/0")
        assert bench.audit == folder / "workbench.jsonl"
        assert (folder / "workbench.jsonl").stat().st_mode & 0o777 == 0o600
    assert (project / ".mycelium/.gitignore").read_text().startswith("*\n")
    assert os.listdir(tmp_path / "data") == ["workbench.jsonl"]


def test_a_place_that_cannot_be_written_leaves_the_lines_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, where a folder is wanted")
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    assert own_bench(configuration(around(cwd)), "memory:").audit is None


ATTACKS: tuple[tuple[str, dict[str, JsonValue]], ...] = (
    ("write_file", {"path": ".mycelium/config.json", "content": '{"worker": {"mcp_file": "evil.json"}}'}),
    ("read_file", {"path": ".mycelium/config.json"}),
    ("search_files", {"pattern": "hunter", "glob": "**/*"}),
    ("run_command", {"command": "cat .mycelium/*; rm -rf .mycelium; echo x > .mycelium/mycelium.db"}),
)


@pytest.mark.usefixtures("namespaces")
async def test_tasks_cannot_reach_the_store_that_they_come_from(tmp_path: Path) -> None:
    own = tmp_path / ".mycelium"
    own.mkdir()
    (own / "config.json").write_text('{"claude": {"model": "hunter2"}}')
    url = f"sqlite:///{own}/mycelium.db"
    async with Mycelium.open(url, agent="mallory") as m:
        for tool, arguments in ATTACKS:
            await m.create_task("tool", payload={"tool": tool, "arguments": arguments})
    done = subprocess.run(  # noqa: ASYNC221  nothing else waits
        [MYCELIUM, "worker", "--until-empty"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    async with Mycelium.open(url) as m:
        tasks = (await m.list_tasks()).records
    said = {task.payload["tool"]: json.dumps(task.result or {}) + json.dumps(task.error or {}) for task in tasks}
    assert said.keys() == {tool for tool, _ in ATTACKS}
    assert "protected" in said["write_file"]
    assert "protected" in said["read_file"]
    assert not [tool for tool, words in said.items() if "hunter2" in words]
    assert (own / "config.json").read_text() == '{"claude": {"model": "hunter2"}}'
    noted = [json.loads(line) for line in (own / "workbench.jsonl").read_text().splitlines()]
    assert {each["tool"] for each in noted if each["outcome"] == "began"} == said.keys()
