"""Who makes the calls: agents on Mycelium, or the same calls by hand on a bare driver."""

from __future__ import annotations

from typing import Final, Protocol

from pydantic import JsonValue

from mycelium import Mycelium

OPERATIONS: Final = {
    "Store Agent Status": "store_status",
    "Get Agent Status": "get_status",
    "Create Task": "create",
    "Claim Task": "claim",
    "Update Task Status": "update",
    "Complete Task": "complete",
    "Publish Event": "publish",
}
"""By their names in the report, in the order in which they are measured: each finds what those before it left."""

CHANNEL: Final = "bench:events"
KIND: Final = "measure"


class Team(Protocol):
    """Makes one call of a kind at a time. `number` says which: no two calls of a kind have the same."""

    async def store_status(self, number: int) -> object: ...
    async def get_status(self, number: int) -> object: ...
    async def create(self, number: int) -> object: ...
    async def claim(self, number: int) -> object: ...
    async def update(self, number: int) -> object: ...
    async def complete(self, number: int) -> object: ...
    async def publish(self, number: int) -> object: ...


class Roster:
    """The agents' names, and the tasks that they hold."""

    def __init__(self, agents: int) -> None:
        self.agents = agents
        self.held: list[str] = []

    def name(self, number: int) -> str:
        """Whose turn this call is."""
        return f"agent-{number % self.agents:03}"

    def status(self, number: int) -> str:
        """Another one at each of an agent's turns, so that each call is a change."""
        return "busy" if number // self.agents % 2 else "idle"

    def one_held(self, number: int) -> str:
        """A task to work on; another one for each number, as long as there are enough."""
        return self.held[number % len(self.held)]


class Ours:
    """Agents on Mycelium, all in one client."""

    def __init__(self, m: Mycelium, agents: int) -> None:
        self._m = m
        self._roster = Roster(agents)

    async def store_status(self, number: int) -> object:
        status = "busy" if self._roster.status(number) == "busy" else "idle"
        return await self._m.store_agent_status(
            self._roster.name(number), status, active_tasks=["train-model"], metadata=metadata(number)
        )

    async def get_status(self, number: int) -> object:
        return await self._m.get_agent_status(self._roster.name(number))

    async def create(self, number: int) -> object:
        return await self._m.create_task(KIND, title=f"task {number}", payload=payload(number))

    async def claim(self, number: int) -> object:
        task = await self._m.claim_task(agent=self._roster.name(number))
        assert task is not None, "as many tasks are claimed as were created"
        self._roster.held.append(task.id)
        return task

    async def update(self, number: int) -> object:
        return await self._m.update_task(self._roster.one_held(number), progress=0.5)

    async def complete(self, number: int) -> object:
        return await self._m.complete_task(self._roster.held.pop(), result(number))

    async def publish(self, number: int) -> object:
        return await self._m.publish_event(CHANNEL, {"event": "saved", "step": number, "loss": 0.42})


def metadata(number: int) -> dict[str, JsonValue]:
    """What an agent says of itself."""
    return {"gpu": "RTX 4090", "memory_gb": 24, "turn": number}


def payload(number: int) -> dict[str, JsonValue]:
    """What a task is about."""
    return {"dataset": "alice-voice", "config": "configs/lora.yaml", "number": number}


def result(number: int) -> dict[str, JsonValue]:
    """What came of a task."""
    return {"checkpoint_path": "checkpoints/model.pth", "final_loss": 0.042, "number": number}
