"""What becomes of the bytes that come in: a message, or a reason why not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mycelium_messaging.envelope import Envelope, parse, render
from mycelium_messaging.errors import BadMessage
from mycelium_messaging.names import AGENT_RESPONSES, AGENT_TASKS, BINDINGS, COORDINATION_INTAKE, matches

TASK: dict[str, Any] = {
    "id": "task-123",
    "timestamp": "2024-11-01T10:00:00Z",
    "routing_key": "task.created",
    "payload": {"task_id": "task-123", "type": "code_analysis"},
    "source": "mycelial-network",
}
COORDINATION: dict[str, Any] = {
    "id": "coord-456",
    "routing_key": "agent.coordination",
    "payload": {"coordination_id": "coord-456", "tasks": [{"id": "task-1", "prompt": "Review…"}]},
}


def bytes_of(**changes: Any) -> bytes:
    said = {name: value for name, value in {**TASK, **changes}.items() if value is not ...}
    return json.dumps(said).encode()


def refusal(body: bytes, suffix: str | None = None) -> BadMessage:
    with pytest.raises(BadMessage) as refused:
        parse(body, suffix)
    return refused.value


def test_a_task() -> None:
    envelope = parse(json.dumps(TASK).encode(), AGENT_TASKS)
    assert envelope.id == "task-123"
    assert envelope.timestamp == datetime(2024, 11, 1, 10, tzinfo=UTC)
    assert envelope.source == "mycelial-network"
    assert json.loads(render(envelope)) == TASK


def test_neither_time_nor_source_is_needed() -> None:
    envelope = parse(json.dumps(COORDINATION).encode(), COORDINATION_INTAKE)
    assert (envelope.timestamp, envelope.source) == (None, None)
    assert json.loads(render(envelope)) == COORDINATION


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert parse(bytes_of(timestamp="2024-11-01T10:00:00.5")).timestamp == datetime(2024, 11, 1, 10, 0, 0, 500_000, UTC)


def test_what_others_add_is_let_be() -> None:
    assert parse(bytes_of(trace="abc")).id == "task-123"


DEEP = b'{"id":"a","routing_key":"task.created","payload":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("not_json", b""),
        ("not_json", b"hello"),
        ("not_json", b"\xff\xfe"),
        ("not_json", json.dumps(TASK).encode("utf-16")),
        ("not_json", bytes_of()[:-1]),
        ("not_json", DEEP),
        ("not_json", bytes_of(payload={"a": float("nan")})),
        ("not_json", bytes_of(payload={"a": float("-inf")})),
        ("not_json", bytes_of().replace(b'"task-123"', b"1e999", 1)),
        ("not_json", b'{"id": "a", "id": "b", "routing_key": "task.created", "payload": {}}'),
        ("not_json", b'{"id": "a", "routing_key": "task.created", "payload": {"a": 1, "a": 2}}'),
        ("not_json", b'{"id": ' + b"9" * 5000 + b"}"),
        ("too_large", b" " * 20_000_000),
        ("too_large", bytes_of(payload={"a": "x" * 1024 * 1024})),
        ("not_an_object", b"[1]"),
        ("not_an_object", b"null"),
        ("missing_field", bytes_of(id=...)),
        ("missing_field", bytes_of(routing_key=...)),
        ("missing_field", bytes_of(payload=...)),
        ("invalid_field", bytes_of(id=7)),
        ("invalid_field", bytes_of(id="")),
        ("invalid_field", bytes_of(id="a\nb")),
        ("invalid_field", bytes_of(id="é" * 200)),
        ("invalid_field", bytes_of(id="\ud800")),
        ("invalid_field", bytes_of(payload=[])),
        ("invalid_field", bytes_of(payload={"a": "\ud800"})),
        ("invalid_field", bytes_of(payload={"a": json.loads("[" * 190 + "]" * 190)})),
        ("invalid_field", bytes_of(timestamp=1730455200)),
        ("invalid_field", bytes_of(timestamp="yesterday")),
        ("invalid_field", bytes_of(timestamp="0001-01-01T00:00:00+14:00")),
        ("invalid_field", bytes_of(source={})),
        ("unknown_routing_key", bytes_of(routing_key="task.exploded")),
    ],
)
def test_what_is_no_message(code: str, body: bytes) -> None:
    refused = refusal(body)
    assert (refused.reason, refused.as_dict()["code"]) == (code, code)
    assert len(refused.says) < 600


def test_a_message_in_the_wrong_queue() -> None:
    refused = refusal(bytes_of(routing_key="task.completed"), AGENT_TASKS)
    assert refused.reason == "unknown_routing_key"
    assert "task.created" in refused.says
    assert parse(bytes_of(routing_key="task.completed"), AGENT_RESPONSES).routing_key == "task.completed"


def test_the_fields_that_are_wrong_are_named() -> None:
    assert refusal(bytes_of(id=..., source=5)).data["fields"] == ["id", "source"]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("task.created", ["task.created"], ["task", "task.created.x", "task.createdx"]),
        ("system.#", ["system", "system.alert", "system.a.b"], ["systemx", "systems.alert"]),
        ("agent.coordination.#", ["agent.coordination", "agent.coordination.done"], ["agent.coordinations"]),
    ],
)
def test_routing_keys_match_as_a_topic_exchange_matches_them(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [matches(pattern, key) for key in yes] == [True] * len(yes)
    assert [matches(pattern, key) for key in no] == [False] * len(no)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(min_size=1, max_size=20) | json_values,
        "timestamp": st.datetimes().map(str) | st.text() | json_values,
        "routing_key": st.sampled_from([key for keys in BINDINGS.values() for key in keys]) | json_values,
        "payload": st.dictionaries(st.text(), json_values, max_size=3) | json_values,
        "source": st.text(max_size=300) | json_values,
    },
)


@given(
    st.binary() | st.text().map(str.encode) | (json_values | near_misses).map(lambda said: json.dumps(said).encode())
)
def test_any_bytes_are_a_message_or_have_a_reason(body: bytes) -> None:
    try:
        envelope = parse(body)
    except BadMessage as refused:
        told = (refused.reason, refused.says)
    else:
        told = (envelope.id, envelope.routing_key)
        assert parse(render(envelope)) == envelope
    assert all(told)
    assert "".join(told).encode()


@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_what_is_read_can_be_written_and_read_again(payload: dict[str, Any]) -> None:
    try:
        envelope = parse(bytes_of(payload=payload))
    except BadMessage:
        return
    again = parse(render(envelope))
    assert isinstance(again, Envelope)
    assert again == envelope
