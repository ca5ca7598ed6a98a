"""Tasks for other programs: `mycelium export --format taskqueue`."""

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Command

SCHEMA = """
{
  "id": "task-123",
  "type": "train-model",
  "status": "pending",
  "assigned_to": "ai-engineer",
  "depends_on": ["task-122"],
  "payload": {
    "dataset": "alice-voice",
    "config": "configs/lora.yaml"
  },
  "created_at": "2025-10-17T00:00:00Z",
  "updated_at": "2025-10-17T00:01:00Z",
  "result": null,
  "error": null
}
"""
"""The task schema, as the mode of that name has it."""


def take_over(mycelium: Command, *records: dict[str, Any]) -> None:
    """Fill the store with these."""
    lines = [{"kind": "mycelium", "format": 1}, *records, {"kind": "end", "count": len(records)}]
    Path("given.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert mycelium("import", "given.jsonl").code == 0


def test_a_task_is_written_letter_by_letter_as_the_schema_has_it(mycelium: Command) -> None:
    wanted = json.loads(SCHEMA)
    known = {name: value for name, value in wanted.items() if value is not None}
    at = {"created_at": wanted["created_at"], "updated_at": wanted["created_at"]}
    first = {"kind": "task", "id": "task-122", "type": "prepare", **at}
    take_over(mycelium, first, {"kind": "task", "blocked": True, "priority": "high", **known})
    head, _, line, end = mycelium.succeed("export", "--format", "taskqueue").out.splitlines()
    assert (head, end) == ("[", "]")
    assert line == " ".join(SCHEMA.split()).replace("{ ", "{").replace(" }", "}")


def test_it_is_an_array_of_every_task_oldest_first_with_who_works_on_it(mycelium: Command) -> None:
    def tasks() -> list[dict[str, Any]]:
        return mycelium.succeed("export", "--format", "taskqueue").data

    mycelium.with_store(lambda m: m.see())
    assert tasks() == []
    one = mycelium.succeed("create", "one", "--title", "Zürich \u2028").out.strip()
    two = mycelium.succeed("create", "two").out.strip()

    async def work(m: Any) -> None:
        await m.claim_task(one)
        await m.complete_task(one, {"größe": 1.5})
        await m.claim_task(two)
        assert [(task["id"], task["status"], task["assigned_to"]) for task in await shown(m)] == [
            (one, "completed", None),
            (two, "running", "ada"),
        ]
        await m.fail_task(two, "broken")

    async def shown(m: Any) -> list[dict[str, Any]]:
        return json.loads("\n".join([line async for line in m.export_tasks()]))

    mycelium.with_store(work)
    assert [(task["status"], task["result"], task["error"]) for task in tasks()] == [
        ("completed", {"größe": 1.5}, None),
        ("failed", None, {"error": "broken"}),
    ]


def test_it_goes_into_a_file_as_an_export_does(mycelium: Command) -> None:
    mycelium.succeed("create", "one")
    assert mycelium("export", "tasks.json", "--format", "taskqueue").err == "3 lines written to tasks.json\n"
    assert len(json.loads(Path("tasks.json").read_text(encoding="utf-8"))) == 1
    assert mycelium.fail(2, "export", "--format", "yaml").startswith("usage: ")
