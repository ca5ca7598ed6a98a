"""What tools accept as arguments, and what they refuse."""

from datetime import UTC, datetime

import pytest

from mycelium.errors import InvalidInput
from mycelium.models import WorkflowTask, validated
from mycelium_tools.tasks import claim_task, create_task, fail_task, list_tasks
from mycelium_tools.workflows import create_workflow


def test_only_what_was_given_is_passed_on() -> None:
    assert create_task.checked({"type": "review", "title": "Look"}) == {"type": "review", "title": "Look"}


def test_numbers_as_text_are_numbers() -> None:
    checked = create_task.checked({"type": "t", "timeout_seconds": "2.5", "max_attempts": "3"})
    assert (checked["timeout_seconds"], checked["max_attempts"]) == (2.5, 3)


def test_objects_and_lists_as_json_text_are_objects_and_lists() -> None:
    checked = create_task.checked({"type": "t", "payload": '{"a": [1]}', "depends_on": '["t-1"]'})
    assert (checked["payload"], checked["depends_on"]) == ({"a": [1]}, ["t-1"])


def test_null_is_the_same_as_nothing_said() -> None:
    assert create_task.checked({"type": "t", "title": None, "payload": None}) == {"type": "t"}


@pytest.mark.parametrize("text", ["2030-01-31T09:00:00Z", "2030-01-31T11:00:00+02:00"])
def test_a_time_with_a_zone_is_taken(text: str) -> None:
    assert create_task.checked({"type": "t", "not_before": text})["not_before"] == datetime(2030, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize("error", ["no memory left", {"error": "no memory left"}])
def test_an_error_is_text_or_an_object(error: object) -> None:
    assert fail_task.checked({"task_id": "t-1", "error": error})["error"] == error


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("type", 5, "string"),
        ("timeout_seconds", True, "number"),
        ("max_attempts", True, "number"),
        ("max_attempts", 1.5, "integer"),
        ("timeout_seconds", float("nan"), "finite"),
        ("payload", "some text", "JSON object"),
        ("payload", "[1, 2]", "JSON object"),
        ("payload", "{not json", "JSON object"),
        ("depends_on", "t-1", "list"),
        ("depends_on", '{"a": 1}', "list"),
        ("depends_on", [1], "string"),
        ("priority", "urgent", "'critical'"),
        ("not_before", "tomorrow", "ISO 8601"),
        ("not_before", 1700000000, "ISO 8601"),
        ("not_before", "2030-01-31T09:00:00", "zone"),
        ("colour", "red", "not permitted"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(field: str, value: object, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        create_task.checked({"type": "t", field: value})
    assert said in refused.value.message
    assert [name.split(".")[0] for name in refused.value.as_dict()["fields"]] == [field]  # type: ignore[attr-defined]


def test_a_missing_argument_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="type: Field required"):
        create_task.checked({})


def test_huge_names_and_values_are_not_repeated() -> None:
    unknown = {f"{number}{'x' * 10_000}": number for number in range(1000)}
    with pytest.raises(InvalidInput) as refused:
        claim_task.checked({"types": "y" * 1_000_000, **unknown})
    assert len(str(refused.value.as_dict())) < 5000


def test_numbers_of_a_workflows_tasks_may_be_text_too() -> None:
    tasks = [{"name": "a", "max_attempts": "3", "timeout_seconds": "2.5"}, {"name": "b", "max_attempts": 3.0}, "c"]
    checked = create_workflow.checked({"type": "w", "tasks": tasks})["tasks"]
    assert checked == [{"name": "a", "max_attempts": 3, "timeout_seconds": 2.5}, {"name": "b", "max_attempts": 3}, "c"]
    assert type(checked[1]["max_attempts"]) is int


@pytest.mark.parametrize("odd", ["three", "nan", "1e999", True, None, [], {}])
def test_what_is_no_number_there_is_left_to_the_library(odd: object) -> None:
    (task,) = create_workflow.checked({"type": "w", "tasks": [{"name": "a", "max_attempts": odd}]})["tasks"]
    with pytest.raises(InvalidInput):
        validated(WorkflowTask, **task)


@pytest.mark.parametrize("value", [True, "true", 1])
def test_yes_and_no_may_be_said_in_any_common_way(value: object) -> None:
    assert list_tasks.checked({"ready": value}) == {"ready": True}
