"""A server whose agents create tasks relays them, where a broker is configured."""

from pathlib import Path

from tests.network.reading import Reader
from tests.support.processes import serving
from tests.support.rabbitmq import Names


async def test_what_an_agent_creates_over_mcp_comes_out_as_a_message(tmp_path: Path, corner: Names) -> None:
    environ = {
        "RABBITMQ_HOST": "127.0.0.1",
        "RABBITMQ_PORT": str(corner.server.port),
        "RABBITMQ_EXCHANGE": corner.name,
        "RABBITMQ_QUEUE_PREFIX": corner.name,
    }
    async with serving(tmp_path / "team.db", "ada", **environ) as server:
        task = await server.call("create_task", type="scan", payload={"file": "a.py"})
        message = await Reader(corner).one("agent_tasks")
    assert message.json["payload"]["task_id"] == task["task_id"]
