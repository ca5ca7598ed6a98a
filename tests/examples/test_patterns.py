"""The patterns of coordination run as they stand, on every kind of store."""

import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import anyio
import pytest

from mycelium import Mycelium
from tests.support.processes import PATIENCE
from tests.support.redis import RedisServer

PATTERNS = Path(__file__).parents[2] / "client_examples" / "patterns"
LONGEST = 60
"""Lines, so that one can be read at a glance."""

SAID = {
    "chain.py": [
        "data-engineer: prepare",
        "ai-engineer: train",
        "performance-engineer: evaluate",
        "finished: True, succeeded: True, 100%",
    ],
    "conditions.py": ["time: backup", "threshold: call-for-help", "agent status: restart"],
    "coordinator.py": [
        "parallel: 3 of 3 can begin",
        "parallel: completed, with the results of code-developer, security-analyst, performance-expert",
        "sequential: 1 of 3 can begin",
        "sequential: completed, with the results of performance-expert",
    ],
    "event_driven.py": ["grace inspects db-2", "fired 1 time"],
    "fallback.py": [
        "migrate completed, announce completed, restore skipped",
        "migrate failed, announce skipped, restore completed",
    ],
    "fan_in.py": ["completed: {'report': {'counts': [{'lines': 120}, {'lines': 80}, {'lines': 42}]}}"],
    "handoff.py": [
        "ada: left something for grace",
        "grace: translated 'good morning' for ada",
        "the result is {'text': 'bonjour'}",
    ],
    "saga.py": ["reserve", "pay", "ship", "refund", "unreserve 7", "failed: ship failed: no lorry"],
    "sequence.py": [
        "draft: spring",
        "review: it is spring",
        "send: it is spring!",
        "completed: {'send': {'text': 'sent: it is spring!'}}",
    ],
}


@pytest.fixture(params=["memory", "sqlite", "markdown", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind, of this test's own."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path / 'team.db'}"
        case "markdown":
            return f"markdown:{tmp_path / 'team'}"
        case "redis":
            server = cast("RedisServer", request.getfixturevalue("redis"))
            return server.url(tmp_path.name)
        case _:
            return "memory:"


def test_every_pattern_is_run() -> None:
    assert {path.name for path in PATTERNS.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
async def test_a_pattern_runs_and_leaves_nothing_undone(
    name: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main = cast("Callable[[str], Awaitable[None]]", runpy.run_path(str(PATTERNS / name))["main"])
    with anyio.fail_after(PATIENCE):
        await main(store)
    assert capsys.readouterr().out.splitlines() == SAID[name]
    async with Mycelium.open(store, background=False) as m:
        stats = await m.get_stats()
        assert not stats.tasks.get("pending", 0) + stats.tasks.get("running", 0)
        assert not stats.workflows.get("running", 0)
        assert not any(stats.triggers.values())


@pytest.mark.parametrize("name", SAID)
def test_a_pattern_is_short_and_says_how_to_run_it(name: str) -> None:
    text = (PATTERNS / name).read_text()
    assert len(text.splitlines()) < LONGEST
    assert f"python client_examples/patterns/{name} [STORE_URL]" in text
