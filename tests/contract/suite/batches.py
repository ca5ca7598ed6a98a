"""Batches: many things of one kind in one change."""

from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.support.store import log, refuses

NOTHING: dict[str, str] = {}
NOT_AN_OBJECT: Any = 3
NOT_A_LIST: Any = {"not": "a list"}


class BatchContract(Contract):
    async def test_tasks_are_created_at_once_in_their_order(self, m: Mycelium) -> None:
        parent = await m.create_task("parent")
        tasks = await m.create_tasks(
            [
                "one",
                {"type": "two", "title": "Second", "payload": {"n": 2}},
                {"type": "three", "depends_on": [parent.id]},
            ]
        )
        assert tasks == await m.get_tasks([task.id for task in tasks])
        assert [(task.type, task.title, task.payload) for task in tasks] == [
            ("one", "", {}), ("two", "Second", {"n": 2}), ("three", "", {}),
        ]  # fmt: skip
        assert (tasks[2].blocked, tasks[2].depends_on) == (True, (parent.id,))
        assert [event.data["task_id"] for event in (await log(m))[1:]] == [task.id for task in tasks]
        claimed = [await m.claim_task() for _ in range(3)]
        assert [task and task.type for task in claimed] == ["parent", "one", "two"]

    async def test_no_tasks_and_no_events_are_nothing(self, m: Mycelium) -> None:
        assert await m.create_tasks([]) == []
        assert await m.publish_events("team:notes", []) == []
        assert await m.last_seq() == 0

    async def test_tasks_are_created_all_or_none(self, m: Mycelium) -> None:
        async with refuses(m, "unknown_dependency"):
            await m.create_tasks(["x", {"type": "y", "depends_on": ["t-gone"]}])
        async with refuses(m, "invalid_input"):
            await m.create_tasks(["x", {"type": "y", "urgency": "high"}])
        async with refuses(m, "invalid_input"):
            await m.create_tasks(["x"] * 10_001)
        async with refuses(m, "invalid_input"):
            await m.create_tasks(3)  # pyright: ignore[reportArgumentType] - the mistake that is meant
        await m.create_task("x", idempotency_key="k")
        async with refuses(m, "conflict"):
            await m.create_tasks(["x", {"type": "y", "idempotency_key": "k"}])

    async def test_an_idempotency_key_makes_one_task_within_a_batch_and_across(self, m: Mycelium) -> None:
        keyed = [{"type": "x", "idempotency_key": key} for key in ("a", "b", "a")]
        first = await m.create_tasks(keyed)
        assert first[0] == first[2] != first[1]
        assert await m.create_tasks(keyed) == first
        assert await m.create_task("x", idempotency_key="b") == first[1]
        async with refuses(m, "conflict"):
            await m.create_tasks([{"type": each, "idempotency_key": "c"} for each in ("x", "y")])

    async def test_events_are_published_at_once_in_a_row(self, m: Mycelium) -> None:
        events = await m.publish_events("team:notes", [{"event": "saved", "step": 1}, {"step": 2}])
        assert [(event.seq, event.channel, event.type, event.source) for event in events] == [
            (1, "team:notes", "saved", "ada"), (2, "team:notes", "message", "ada"),
        ]  # fmt: skip
        assert [event.data for event in events] == [{"event": "saved", "step": 1}, {"step": 2}]
        assert await m.publish_events("team:notes", [{}], type="end") == (await log(m))[2:]
        assert events == (await log(m))[:2]

    @pytest.mark.parametrize(
        ("channel", "data", "type"),
        [
            ("tasks:events", [NOTHING, {"event": "task.done"}], None),
            ("team notes", [NOTHING], None),
            ("team", [NOTHING, NOT_AN_OBJECT], None),
            ("team", [NOTHING, {"event": "two\nlines"}], None),
            ("team", [NOTHING] * 1001, None),
            ("team", NOT_A_LIST, None),
            ("team", [NOTHING], "x" * 129),
        ],
    )
    async def test_events_are_published_all_or_none(
        self, m: Mycelium, channel: str, data: list[dict[str, str]], type: str | None
    ) -> None:
        async with refuses(m, "invalid_id" if " " in channel else "invalid_input"):
            await m.publish_events(channel, data, type=type)
