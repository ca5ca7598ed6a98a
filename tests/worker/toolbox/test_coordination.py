"""The team's store as a server: the real `mycelium serve`."""

from __future__ import annotations

from pathlib import Path

from mycelium_worker.servers.pool import open_toolbox
from mycelium_worker.servers.spec import Bench, default_servers
from tests.support.processes import MYCELIUM
from tests.worker.toolbox.support import bad, good


async def test_a_task_is_created_and_claimed_through_the_toolbox(tmp_path: Path) -> None:
    backend = f"sqlite:///{tmp_path / 'store.db'}"
    store, _ = default_servers(MYCELIUM, backend=backend, agent="worker-1", bench=Bench(tmp_path))
    async with open_toolbox([store]) as toolbox:
        created = (await good(toolbox, "create_task", type="report", title="Write the report")).structured
        assert isinstance(created, dict)
        claimed = (await good(toolbox, "claim_task")).structured
        assert isinstance(claimed, dict)
        assert "Write the report" in str(claimed)
        assert "worker-1" in (await good(toolbox, "list_tasks")).text
        assert "not_found" in await bad(toolbox, "complete_task", task_id="task-nowhere")
