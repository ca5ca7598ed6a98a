"""The graph of a workflow: put in order, or refused with the circle it has."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mycelium import rules
from mycelium.errors import DependencyCycle, InvalidInput
from mycelium.models import MAX_TASKS, WORKFLOW_TRANSITIONS, Task, Workflow, WorkflowTask
from mycelium.rules import Change
from tests.rules.view import NOW, TableView

NAMES = "abcdefgh"
graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=len(NAMES))


def create(view: TableView, graph: dict[str, list[str]]) -> Change[Workflow]:
    """The change that makes a workflow of this graph; names that it lacks are left out."""
    tasks = [
        WorkflowTask(name=name, depends_on=tuple(other for other in others if other in graph))
        for name, others in graph.items()
    ]
    workflow = Workflow(id="w", type="w", mode="dag", created_at=NOW, updated_at=NOW)
    return rules.create_workflow(view, workflow, tasks)


def has_circle(graph: dict[str, list[str]]) -> bool:
    """The plain way: take away what waits on nothing, until nothing is left or nothing can be taken."""
    left = {name: {other for other in others if other in graph} for name, others in graph.items()}
    while free := [name for name, others in left.items() if not others]:
        left = {name: others - set(free) for name, others in left.items() if name not in free}
    return bool(left)


@given(graphs)
@settings(deadline=None)
def test_a_graph_is_made_in_order_or_refused_with_a_circle_of_its_own(graph: dict[str, list[str]]) -> None:
    try:
        change = create(TableView(), graph)
    except DependencyCycle as error:
        circle = error.data["cycle"]
        assert isinstance(circle, list)
        assert has_circle(graph)
        _is_circle(graph, [str(name) for name in circle])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return
    assert not has_circle(graph)
    created = [record for record in change.puts if isinstance(record, Task)]
    assert {task.id for task in created} == {f"w.{name}" for name in graph}
    for place, task in enumerate(created):
        assert set(task.depends_on) <= {other.id for other in created[:place]}
        assert task.blocked == bool(task.depends_on)
    assert change.result.tasks == tuple(f"w.{name}" for name in graph)


def _is_circle(graph: dict[str, list[str]], circle: list[str]) -> None:
    """Each of the names depends on the next, and the last is the first."""
    assert circle[0] == circle[-1]
    assert len(circle) > 1
    for name, other in pairwise(circle):
        assert other in graph[name]


def test_a_long_chain_is_no_trouble() -> None:
    view = TableView()
    graph = {f"n{number}": [f"n{number - 1}"] if number else [] for number in range(1500)}
    view.apply(create(view, graph))
    task = view.get(Task, "w.n0")
    assert task is not None
    view.apply(rules.cancel_task(view, task.id, reason=None, by=None))
    assert {task.status for task in view.tasks()[1:]} == {"skipped"}
    workflow = view.get(Workflow, "w")
    assert workflow is not None
    assert workflow.status == "cancelled"


def test_the_largest_workflow_does_not_keep_the_store_from_others() -> None:
    workflow = Workflow(id="w", type="w", created_at=NOW, updated_at=NOW)
    names = [f"n{number}" for number in range(MAX_TASKS)]
    began = time.process_time()
    rules.create_workflow(TableView(), workflow, [WorkflowTask(name=name, idempotency_key=name) for name in names])
    with pytest.raises(InvalidInput):
        rules.create_workflow(TableView(), workflow, [WorkflowTask(name=name) for name in [*names[1:], "n1"]])
    assert time.process_time() - began < 2.5, "more than each task once, every one was compared with every other"


def test_the_table_of_workflows_leads_from_an_outcome_only_to_a_retry() -> None:
    assert WORKFLOW_TRANSITIONS["completed"] == frozenset()
    for status in ("failed", "cancelled"):
        assert WORKFLOW_TRANSITIONS[status] == {"running"}
