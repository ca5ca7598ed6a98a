"""Notifications: what people are told, as events that other programs pass on."""

from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.errors import InvalidInput
from mycelium.models import Event
from mycelium.models.base import MAX_PART_BYTES
from tests.contract.suite.base import Contract
from tests.contract.suite.refusals import NOT_JSON, sized
from tests.support.store import log, refuses

BAD: dict[str, dict[str, Any]] = {
    "nobody": {"user": ""},
    "a user of two lines": {"user": "ada\ngrace"},
    "a user with too long a name": {"user": "u" * 129},
    "nothing said": {"message": ""},
    "too much said": {"message": "m" * 10_001},
    "too long a title": {"title": "t" * 501},
    "an unknown level": {"level": "loud"},
}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


class NotificationContract(Contract):
    async def test_a_notification_is_an_event_with_what_was_said(self, m: Mycelium) -> None:
        event = await m.notify_user("u-7", "The build broke.", title="Build", level="error", data={"url": "build/7"})
        assert (event.channel, event.type, event.source) == ("users:events", "user.notification", "ada")
        assert event.data == {
            "user": "u-7", "message": "The build broke.", "level": "error", "title": "Build",
            "data": {"url": "build/7"},
        }  # fmt: skip
        assert await log(m) == [event]

    async def test_what_has_nothing_to_say_is_left_out(self, m: Mycelium) -> None:
        assert (await m.notify_user("u-7", "Done.")).data == {"user": "u-7", "message": "Done.", "level": "info"}

    async def test_a_notification_about_a_task_says_which(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("release", ["deploy"])
        (task_id,) = workflow.tasks
        data = (await m.notify_user("u-7", "It is out.", level="success", task_id=task_id)).data
        assert (data["task_id"], data["task_type"], data["workflow_id"]) == (task_id, "deploy", workflow.id)
        async with refuses(m, "not_found"):
            await m.notify_user("u-7", "It is out.", task_id="t-none")

    @pytest.mark.parametrize("case", BAD)
    async def test_what_makes_no_notification_is_refused(self, m: Mycelium, case: str) -> None:
        async with refuses(m, "invalid_input"):
            await partial(m.notify_user, **{"user": "u-7", "message": "m", **BAD[case]})()

    @pytest.mark.parametrize("case", NOT_JSON)
    async def test_data_that_is_not_a_json_object_is_refused(self, m: Mycelium, case: str) -> None:
        async with refuses(m, "invalid_input"):
            await m.notify_user("u-7", "m", data=NOT_JSON[case])

    async def test_the_largest_notification_can_be_read_back(self, m: Mycelium) -> None:
        event = await m.notify_user(
            "\U0001f9d1" * 128, "\x01" * 10_000, title="\x01" * 500, data=sized(MAX_PART_BYTES)
        )  # fmt: skip
        assert (await m.latest_events()).events == [event]
        async with refuses(m, "too_large"):
            await m.notify_user("u-7", "m", data=sized(MAX_PART_BYTES + 1))

    async def test_data_is_read_back_or_refused_however_deep_it_is(self, m: Mycelium) -> None:
        taken: list[Event] = []
        with suppress(InvalidInput):
            for data in map(nested, range(140, 160)):
                taken += [await m.notify_user("u-7", "m", data=data)]
        assert 0 < len(taken) < 20
        assert (await m.latest_events(limit=20)).events == taken

    async def test_nobody_else_can_say_what_looks_like_one(self, m: Mycelium) -> None:
        async with refuses(m, "invalid_input"):
            await m.publish_event("users:events", {"user": "u-7"}, type="user.notification")
        assert (await m.publish_event("users:events", type="remark")).seq == 1

    async def test_a_trigger_acts_on_a_notification(self, m: Mycelium) -> None:
        when = {"event": {"type": "user.notification", "where": {"path": "data.level", "op": "==", "value": "error"}}}
        then = {"task": {"type": "call", "payload": {"whom": {"$from": "cause.data.user"}}}}
        await m.create_trigger(when, then)
        await m.notify_user("u-7", "All is well.")
        await m.notify_user("u-8", "It burns.", level="error")
        await m.housekeep()
        (task,) = (await m.list_tasks()).records
        assert (task.type, task.payload) == ("call", {"whom": "u-8"})
