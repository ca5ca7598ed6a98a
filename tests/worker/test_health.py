"""How a worker says that it is, where that depends on what the store says of its agent."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mycelium import Mycelium
from mycelium_worker import presence
from mycelium_worker.executors.registry import Executors
from mycelium_worker.health import Health
from mycelium_worker.presence import present
from mycelium_worker.worker import Worker
from tests.worker.loop import NoTools
from tests.worker.toolbox.support import until


@asynccontextmanager
async def health_of(folder: Path) -> AsyncGenerator[Health]:
    """The health of a worker called wanda."""
    async with (
        Mycelium.open(f"sqlite:///{folder}/team.db", agent="wanda") as m,
        present(m, (), {}) as there,
    ):
        yield Health(Worker(m, [], Executors({}), NoTools()), there)


async def becomes(health: Health, status: str) -> None:
    """Return when the worker says that it is like this."""

    async def is_so() -> bool:
        return health.status == status

    await until(is_so)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "SEE_EVERY", 0.01)


async def test_a_worker_whose_agent_is_in_error_is_not_ready_until_it_is_well(tmp_path: Path) -> None:
    async with health_of(tmp_path) as health:
        m = health.worker.client
        assert (health.status, health.ready) == ("working", True)
        await m.store_agent_status(status="error")
        await becomes(health, "resting")
        assert not health.ready
        assert health.connected  # nothing is to be started again
        await m.store_agent_status(status="idle")
        await becomes(health, "working")
        assert health.ready


async def test_a_worker_that_failed_too_often_is_not_ready(tmp_path: Path) -> None:
    async with health_of(tmp_path) as health:
        m = health.worker.client
        for _ in range(5):
            task = await m.create_task("greet", max_attempts=1)
            await m.claim_task(task.id)
            await m.fail_task(task.id, "broken")
        await becomes(health, "resting")
        assert health.as_dict()["status"] == "resting"
