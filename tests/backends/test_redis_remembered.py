"""What a process remembers of the records that it wrote to Redis."""

from datetime import UTC, datetime

import pytest

from mycelium.models import Task, TaskSpec
from mycelium_backends.redis import remembered
from mycelium_backends.redis.remembered import Remembered


def task(id: str) -> Task:
    return Task.of(TaskSpec(type="work"), id=id, created_at=datetime.now(UTC))


def test_what_is_asked_for_again_and_again_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    memory = Remembered()
    kept = task("kept")
    memory.take(kept, kept.model_dump_json())
    for number in range(5):
        other = task(f"other-{number}")
        memory.take(other, other.model_dump_json())
        assert memory.recall(Task, "kept") == kept
    assert memory.recall(Task, "other-3") is None
