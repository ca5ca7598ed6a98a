"""What a worker offers to tasks and to its model where no file says otherwise."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium_tools.core import CORE
from mycelium_tools.profiles import ALL
from tests.support.model_endpoint import model_endpoint
from tests.support.model_script import Answer, Say, Use
from tests.worker.processes import Ground

OF_CORE = {tool.name for tool in CORE}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
async def m(ground: Ground) -> AsyncGenerator[Mycelium]:
    async with Mycelium.open(ground.url, agent="ada") as client:
        yield client


async def test_a_task_can_call_any_tool_of_the_team(ground: Ground, m: Mycelium) -> None:
    told, listed = await m.create_tasks(
        [
            {"type": "tool", "payload": {"tool": "notify_user", "arguments": {"user": "grace", "message": "Done."}}},
            {"type": "tool", "payload": {"tool": "list_triggers"}},
        ]
    )
    async with ground.worker("--until-empty", "--agent", "wanda") as worker:
        assert await worker.ends() == 0, worker.err
    assert [(await m.get_task(task.id)).error for task in (told, listed)] == [None, None]
    (event,) = [each for each in (await m.read_events(after=0)).events if each.data.get("user") == "grace"]
    assert (event.source, event.data["message"]) == ("wanda", "Done.")


@pytest.mark.parametrize(
    ("tools", "offered"),
    [(None, OF_CORE | {"notify_user"}), ("core", OF_CORE | {"notify_user"}), ("all", {tool.name for tool in ALL})],
)
async def test_a_model_is_told_of_the_core_and_of_words_to_people(
    ground: Ground, m: Mycelium, tools: str | None, offered: set[str]
) -> None:
    task = await m.create_task("question", payload={"prompt": "Tell Grace."})
    script = [
        Answer([Use("notify_user", {"user": "grace", "message": "Hello."})]),
        Answer([Say("She knows.")]),
    ]
    async with model_endpoint(script) as endpoint:
        env: dict[str, Any] = {"ANTHROPIC_API_KEY": "key", "ANTHROPIC_BASE_URL": endpoint.url}
        env |= {} if tools is None else {"MYCELIUM_TOOLS": tools}
        async with ground.worker("--until-empty", **env) as worker:
            assert await worker.ends() == 0, worker.err
        assert {tool.name for tool in ALL}.intersection(endpoint.asked[0].tools) == offered
    assert (await m.get_task(task.id)).status == "completed"
    assert "grace" in [each.data.get("user") for each in (await m.read_events(after=0)).events]
