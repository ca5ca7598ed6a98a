"""Any text at all: it comes back as it was, or is refused with its field's name, on every backend alike."""

from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.errors import InvalidInput
from mycelium.models import Task
from mycelium.models.base import is_id
from tests.contract.suite.base import Contract
from tests.support.store import claimed

ODD = [
    "\0", "\x07", "\x1b", "\r", "\n", "\r\n", "---", "#", "'", '"', "\\", "\x7f", "\x85", "\xa0", "\u2028", "\u2029",
    "\ufeff", "\ufffe", "\uffff", "\ud800", "\U0010ffff", "{}", "~", "`", "*",
]  # fmt: skip
"""What some reader of text, JSON, YAML or markdown takes for something else."""
TEXTS = st.lists(st.sampled_from([*ODD, " ", "a", "é"]) | st.characters(), max_size=12).map("".join)
ANY = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
"""A store may serve all examples: each looks at what it made itself."""


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8."""
    return not any(0xD800 <= ord(each) <= 0xDFFF for each in text)


def is_label(text: str) -> bool:
    """Whether it can name a type, on one line."""
    return is_text(text) and text != "" and not any(ord(each) < 0x20 or ord(each) == 0x7F for each in text)


def fields_of(error: InvalidInput) -> list[str]:
    return cast("list[str]", error.data["fields"])


async def kept(act: Callable[[], Awaitable[object]], field: str, *, fits: bool) -> bool:
    """Whether a text that fits was taken; one that does not is refused, naming this field (an id itself)."""
    if fits:
        await act()
        return True
    with pytest.raises(InvalidInput) as caught:
        await act()
    assert caught.value.code == "invalid_id" or any(field in each for each in fields_of(caught.value))
    return False


class TextContract(Contract):
    @ANY
    @given(text=TEXTS)
    @example(text="".join(each for each in ODD if is_text(each)))
    async def test_any_text_of_a_task_comes_back_or_is_refused(self, m: Mycelium, bob: Mycelium, text: str) -> None:
        made: list[Task] = []

        async def create(**said: str) -> None:
            made.append(await m.create_task(said.pop("type", "x"), **said))  # pyright: ignore[reportArgumentType]

        await kept(lambda: create(title=text), "title", fits=is_text(text))
        await kept(lambda: create(type=text), "type", fits=is_label(text))
        await kept(lambda: create(idempotency_key=text), "idempotency_key", fits=is_text(text) and text != "")
        assert await bob.get_tasks([task.id for task in made]) == made
        assert [task.title for task in made if task.title] == ([text] if text and is_text(text) else [])

    @ANY
    @given(text=TEXTS, other=TEXTS)
    @example(text="".join(each for each in ODD if is_text(each)), other="\0")
    async def test_any_text_in_an_object_comes_back_or_is_refused(
        self, m: Mycelium, bob: Mycelium, text: str, other: str
    ) -> None:
        said: dict[str, JsonValue] = {text: other, "list": [{other: text}]}
        fits = is_text(text) and is_text(other)
        await m.store_agent_status("ada", "idle")  # else its many failures would count
        task = await claimed(m, (await m.create_task("x")).id)
        await kept(lambda: m.create_task("x", payload=said), "payload", fits=fits)
        await kept(lambda: m.publish_event("c", data=said), "data", fits=fits)
        if await kept(lambda: m.fail_task(task.id, said, retry=False), "error", fits=fits):
            assert (await bob.get_task(task.id)).error == said
            assert (await bob.list_tasks(limit=1)).records[0].payload == said
            assert (await bob.latest_events(["c"], limit=1)).events[0].data == said

    @ANY
    @given(text=TEXTS)
    async def test_any_text_of_an_event_comes_back_or_is_refused(self, m: Mycelium, bob: Mycelium, text: str) -> None:
        before = await m.last_seq()
        await kept(lambda: m.publish_event("c", type=text), "type", fits=is_label(text))
        told = (await bob.read_events(["c"], after=before)).events
        assert [event.type for event in told] == ([text] if is_label(text) else [])

    @ANY
    @given(text=TEXTS)
    async def test_any_text_of_an_agent_comes_back_or_is_refused(self, m: Mycelium, bob: Mycelium, text: str) -> None:
        await kept(lambda: m.store_agent_status("eve", active_tasks=[text]), "active_tasks", fits=is_text(text))
        await kept(lambda: m.store_agent_status(f"a{text}"), "agent", fits=is_id(f"a{text}"))
        if is_text(text):
            assert (await bob.get_agent_status("eve")).active_tasks == (text,)
        if is_id(f"a{text}"):
            assert (await bob.get_agent_status(f"a{text}")).name == f"a{text}"
