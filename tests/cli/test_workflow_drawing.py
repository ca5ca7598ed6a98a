"""How `mycelium workflow ID` draws a workflow for people."""

import pytest

from mycelium import Mycelium
from mycelium.models import Task, Workflow
from mycelium_server.cli import graph
from mycelium_server.cli.graph import show_workflow
from mycelium_server.cli.steps import FEW, steps_of
from mycelium_server.cli.tree import tree_of

DIAMOND = [
    {"name": "plan"},
    {"name": "left", "depends_on": ["plan"], "title": "Go \x1b[31mleft"},
    {"name": "right", "depends_on": ["plan"]},
    {"name": "join", "depends_on": ["left", "right"]},
    {"name": "late", "depends_on": ["join", "plan"]},
]


@pytest.fixture(autouse=True)
def _at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_people(*, as_json: bool) -> bool:
        return not as_json

    monkeypatch.setattr(graph, "for_people", for_people)
    monkeypatch.setenv("COLUMNS", "80")


def names(workflow: Workflow, tasks: list[Task]) -> list[list[str]]:
    return [[task.id.removeprefix(f"{workflow.id}.") for task in step.tasks] for step in steps_of(tasks)]


async def test_a_step_has_what_may_run_at_once_and_says_only_unexpected_dependencies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        workflow = await m.create_workflow("trip", DIAMOND)
        tree = await tree_of(m, workflow.id)
    assert names(workflow, list(tree.tasks)) == [["plan"], ["left", "right"], ["join"], ["late"]]
    show_workflow(tree, as_json=False)
    head, _, *drawn = capsys.readouterr().out.splitlines()
    assert head.split() == ["trip", workflow.id, "running", "0%", "of", "5", "tasks"]
    assert [line.rstrip() for line in drawn] == [
        "  1 ── · plan   pending",
        "  2 ┬─ · left   pending           Go \\x1b[31mleft",
        "    └─ · right  pending",
        "  3 ── · join   pending",
        "  4 ── · late   pending           after join, plan",
    ]


async def test_a_large_step_is_summed_up_with_what_runs_and_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        workflow = await m.create_workflow("survey", [f"part-{number:03}" for number in range(300)], mode="parallel")
        for _ in range(FEW + 3):
            await m.claim_task()
        failed = await m.claim_task()
        assert failed
        await m.update_task(f"{workflow.id}.part-000", progress=0.5, note="half way")
        await m.fail_task(failed.id, "out of luck")
        show_workflow(await tree_of(m, workflow.id), as_json=False)
    _, _, total, *shown = capsys.readouterr().out.splitlines()
    assert "300 tasks" in total
    assert "9 running, 1 failed, 290 pending" in total
    assert len(shown) == FEW + 1
    assert all(text in shown[0] for text in ("part-000", "━", "50% ada", "half way"))
    assert all(text in shown[-1] for text in ("part-009", "failed", "out of luck"))
    assert max(len(line) for line in shown) <= 80
