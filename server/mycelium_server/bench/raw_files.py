"""The same reads and writes by hand with files: each synced and renamed, and a log that is appended to."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import anyio
import yaml

from mycelium_server.bench.team import CHANNEL, KIND, Roster, metadata, payload, result

MARK: Final = "---\n"


class RawFiles:
    """Front matter and JSON in a file for each agent and task, written by the agents in turn."""

    says: str = "plain files, each synced and renamed"

    def __init__(self, folder: Path, agents: int) -> None:
        self._folder = folder / "raw"
        self._folder.mkdir()
        self._log = (self._folder / "events.md").open("ab", buffering=0)
        self._ready: deque[str] = deque()
        self._roster = Roster(agents)
        self._turn = anyio.Lock()

    async def store_status(self, number: int) -> object:
        name, status = self._roster.name(number), self._roster.status(number)
        async with self._turn:
            if (self._folder / f"agent-{name}.md").exists():
                self._read(f"agent-{name}")
            head = {"agent": name, "status": status, "last_updated": time.time()}
            self._write(f"agent-{name}", head, metadata(number))
            self._tell("agents:events", "agent.status", {"agent": name, "status": status})

    async def get_status(self, number: int) -> object:
        async with self._turn:
            return self._read(f"agent-{self._roster.name(number)}")

    async def create(self, number: int) -> object:
        id = f"t-{number}"
        async with self._turn:
            head = {"id": id, "type": KIND, "status": "pending", "title": f"task {number}", "created": time.time()}
            self._write(f"task-{id}", head, payload(number))
            self._tell("tasks:events", "task.created", {"task_id": id, "task_type": KIND})
            self._ready.append(id)

    async def claim(self, number: int) -> object:
        async with self._turn:
            id = self._ready.popleft()
            lease = {"assigned_to": self._roster.name(number), "expires": time.time() + 60}
            self._change(id, {"status": "running", **lease}, "task.started")
        self._roster.held.append(id)

    async def update(self, number: int) -> object:
        async with self._turn:
            self._change(self._roster.one_held(number), {"progress": 0.5}, "task.progress")

    async def complete(self, number: int) -> object:
        async with self._turn:
            done = {"status": "completed", "result": json.dumps(result(number))}
            self._change(self._roster.held.pop(), done, "task.completed")

    async def publish(self, number: int) -> object:
        async with self._turn:
            self._tell(CHANNEL, "saved", {"step": number, "loss": 0.42})

    async def aclose(self) -> None:
        """Close the log; the folder is removed by whoever made it."""
        self._log.close()

    def _change(self, id: str, fields: dict[str, Any], event: str) -> None:
        head, body = self._read(f"task-{id}")
        self._write(f"task-{id}", {**head, **fields}, body)
        self._tell("tasks:events", event, {"task_id": id})

    def _read(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        _, head, body = (self._folder / f"{name}.md").read_text(encoding="utf-8").split(MARK)
        # The loader in C, where PyYAML has it, is ten times as fast and as safe.
        return yaml.load(head, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), json.loads(body)

    def _write(self, name: str, head: dict[str, Any], body: dict[str, Any]) -> None:
        lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in head.items())
        part = self._folder / f".{name}.part"
        with part.open("wb", buffering=0) as file:
            file.write(f"{MARK}{lines}{MARK}{json.dumps(body, indent=2)}\n".encode())
            os.fsync(file.fileno())
        part.replace(self._folder / f"{name}.md")

    def _tell(self, channel: str, type: str, data: dict[str, Any]) -> None:
        self._log.write(f"- {time.time()} {channel} {type} {json.dumps(data)}\n".encode())
        os.fsync(self._log.fileno())
