"""What a workflow that really executes looks like: drawn for a terminal, for Mermaid and for Graphviz."""

from datetime import UTC, datetime

import pytest

from mycelium import Mycelium
from mycelium_server.cli import graph
from mycelium_server.cli.diagrams import dot, mermaid
from mycelium_server.cli.graph import show_workflow
from mycelium_server.cli.tree import Tree, tree_of

INNER = {"type": "inner", "tasks": ["x", "y"]}
TASKS = [
    {"name": "plan"},
    {"name": "each", "for_each": "plan.result.items"},
    {"name": "nested", "depends_on": ["plan"], "workflow": INNER},
    {"name": "big", "condition": {"path": "plan.result.n", "op": ">", "value": 3}, "depends_on": ["plan"]},
    {"name": "ask", "depends_on": ["plan"], "approval": 'Say "yes" <now>?'},
]


@pytest.fixture(autouse=True)
def _at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_people(*, as_json: bool) -> bool:
        return not as_json

    monkeypatch.setattr(graph, "for_people", for_people)
    monkeypatch.setenv("COLUMNS", "100")


async def begun(m: Mycelium) -> Tree:
    """The workflow above, after its first task and one of those of the loop."""
    workflow = await m.create_workflow("trip", TASKS)
    await m.claim_task()
    await m.complete_task(f"{workflow.id}.plan", {"items": [1, 2], "n": 1})
    await m.claim_task(f"{workflow.id}.each.0")
    await m.complete_task(f"{workflow.id}.each.0")
    return await tree_of(m, workflow.id)


async def undone(m: Mycelium) -> Tree:
    tasks = [{"name": "pay", "undo": "refund"}, {"name": "pack", "undo": "unpack"}, "ship"]
    workflow = await m.create_workflow("order", tasks, on_failure="compensate")
    for name in ("pay", "pack"):
        await m.claim_task(f"{workflow.id}.{name}")
        await m.complete_task(f"{workflow.id}.{name}")
    await m.claim_task(f"{workflow.id}.ship")
    await m.fail_task(f"{workflow.id}.ship", "no van")
    return await tree_of(m, workflow.id)


async def test_loops_are_counted_and_workflows_within_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        show_workflow(await begun(m), as_json=False)
    _, _, *drawn = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in drawn] == [
        "  1 ── ✔ plan    completed",
        "  2 ┬─ ▶ each    ━━━━━━━━          for each: 1 of 2 done",
        "    ├─ ▶ nested                    0 of 2 done",
        "    │      · x   pending",
        "    │      · y   pending",
        "    ├─ ↷ big     skipped           because not plan.result.n > 3",
        '    └─ · ask     pending           waits for a person: Say "yes" <now>?',
    ]


async def test_what_is_taken_back_is_drawn_last(capsys: pytest.CaptureFixture[str]) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        show_workflow(await undone(m), as_json=False)
    head, error, _, *drawn = capsys.readouterr().out.splitlines()
    assert "compensating" in head
    assert "compensate on failure" in head
    assert "no van" in error or "ship" in error
    assert [line.split()[:5] for line in drawn[-2:]] == [
        ["undo", "──", "·", "pack.undo", "pending"],
        ["──", "·", "pay.undo", "pending", "after"],
    ]


async def test_a_paused_workflow_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        later = datetime(2030, 1, 31, 12, tzinfo=UTC)
        workflow = await m.create_workflow("trip", [{"name": "a", "not_before": later}])
        await m.pause_workflow(workflow.id)
        show_workflow(await tree_of(m, workflow.id), as_json=False)
    head, _, row = capsys.readouterr().out.splitlines()
    assert "paused" in head
    assert row.rstrip().endswith("paused, not before 2030-01-31 12:00:00Z")


async def test_skipped_tasks_say_why_all_the_way_down(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = ["a", "b", "c", {"name": "rescue", "depends_on": ["b"], "run_when": "any_failed"}]
    async with Mycelium.open("memory:", agent="ada") as m:
        workflow = await m.create_workflow("trip", tasks, mode="sequential")
        await m.cancel_task(f"{workflow.id}.a")
        show_workflow(await tree_of(m, workflow.id), as_json=False)
    out = capsys.readouterr().out
    assert "because a is cancelled" in out
    assert "because b is skipped" in out


async def test_mermaid_has_every_task_and_arrow() -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        tree, back = await begun(m), await undone(m)
    lines = mermaid(tree).splitlines()
    assert lines[:2] == [f"%% trip {tree.workflow.id} running", "flowchart TD"]
    assert '    n0["plan<br/>completed"]:::completed' in lines
    assert '    n1["each<br/>running<br/>for each: 1 of 2 done"]:::running' in lines
    assert '    subgraph in_n2["inner"]' in lines
    assert {"    n0 --> n1", "    n0 --> n2", "    n2 -.-> n3", "    n3 --> n4"} <= set(lines)
    (ask,) = [line for line in lines if '["ask' in line]
    assert "#quot;yes#quot; #lt;now#gt;?" in ask
    assert {"    n1 -. undo .-> n3", "    n0 -. undo .-> n4"} <= set(mermaid(back).splitlines())


async def test_dot_has_every_task_and_arrow() -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        tree, back = await begun(m), await undone(m)
    lines = dot(tree).splitlines()
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    assert '    n0 [label="plan\\ncompleted", fillcolor="#d3f9d8"];' in lines
    assert any('Say \\"yes\\" <now>?' in line for line in lines)
    assert {"    n0 -> n1;", "    n2 -> n3 [style=dotted];", "    n3 -> n4;"} <= set(lines)
    assert "    n1 -> n3 [style=dashed, label=undo];" in dot(back).splitlines()
